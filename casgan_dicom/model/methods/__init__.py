"""One paper per file: the networks a method trains, its losses and how it translates."""
