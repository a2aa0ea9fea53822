"""What trained generators draw, measured against simulated truth and against real frames."""
