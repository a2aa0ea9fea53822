"""What runs the generator: torch (CPU, CUDA) or OpenVINO (CPU)."""
