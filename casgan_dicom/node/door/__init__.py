"""Who may come in at a port, and how long anybody may stay: places, tokens, refusals, the wire of HTTP."""
