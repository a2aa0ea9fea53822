"""The learning wing: networks, training, simulator and generator. Arrays only, no files of a scanner."""
