"""Whether an object is honest, asked by somebody else than its writer."""
