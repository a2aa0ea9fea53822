"""What the node shows of itself over HTTP: its page, JSON interface, health and metrics."""
