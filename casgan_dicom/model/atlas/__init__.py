"""Drawing by an anatomical atlas: a tree of the library, posed, chosen and moved with the heart of a run."""
