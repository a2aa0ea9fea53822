"""The formats that a bundle is exported to; alone, so that a help text loads nothing else."""

from __future__ import annotations

from typing import Literal

Format = Literal["onnx", "openvino", "monai", "huggingface"]
"""ONNX, OpenVINO IR, a MONAI bundle, or the layout of a Hugging Face repository."""
