"""The network wing: receive from a modality, queue, send to an archive. Imports neither torch nor click."""
