"""Trained weights with all that is needed to use them, and their model card."""
