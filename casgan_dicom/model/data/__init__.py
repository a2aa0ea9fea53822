"""What is trained on: frames, folders, simulated runs; crops, batches."""
