"""How good synthetic frames are: distances between sets of frames, and scores of single frames."""
