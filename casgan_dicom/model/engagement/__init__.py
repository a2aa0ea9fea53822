"""Whether the catheter lies in the artery of a given tree: learnt from pairs of arteries, asked of a run."""
