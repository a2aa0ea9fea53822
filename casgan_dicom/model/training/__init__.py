"""The trainer, and what a run leaves behind."""
