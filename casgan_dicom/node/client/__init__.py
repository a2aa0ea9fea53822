"""What we ask of other nodes: C-ECHO, C-STORE."""
