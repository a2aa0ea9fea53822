"""The learning wing: networks, training, the simulator and the generator. Arrays only, no files of a scanner."""
