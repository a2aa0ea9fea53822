"""Bundles in the formats of others: ONNX, OpenVINO IR, a MONAI bundle, a Hugging Face repository."""
