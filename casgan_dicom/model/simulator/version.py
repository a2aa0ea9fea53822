"""Which simulator this is: bundles say what made their training data."""

SIMULATOR = 2
"""Counts simulators whose pictures differ so much that weights trained on one are none for another's."""
