"""What peers send: sockets, associations, spool."""
