"""A copy of a node's data folder, made while it runs, and a data folder made of one."""
