"""What is written: the honest objects, and what they say of themselves."""
