"""What rules say: their conditions on headers, the form that they ask for, and whether they make sense."""
