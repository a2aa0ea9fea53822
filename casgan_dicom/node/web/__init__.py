"""What a node shows of itself over HTTP."""
