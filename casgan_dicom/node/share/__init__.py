"""What the hosts of one database give each other: their files, over HTTP."""
