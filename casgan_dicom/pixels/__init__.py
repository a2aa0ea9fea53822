"""Stored values to display values and back: decode, display, spool, encode, banner."""
