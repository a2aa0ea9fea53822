"""What becomes of it: completion, conversion, delivery."""
