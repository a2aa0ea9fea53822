"""The bench where DICOM and the model meet: training data, and what is trained, measured and simulated."""
