"""casgan-dicom: synthetic angiography from non-contrast X-ray cine, in and out of DICOM.

Research software. Every output is marked as synthetic; nothing here is for diagnosis.

What is named in `__all__` is what callers may rely on (docs/python.md shows how it is used). Each name is
fetched from its module when it is first asked for: ``import casgan_dicom`` loads neither torch nor pydicom.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from casgan_dicom.conversion.convert import convert
    from casgan_dicom.conversion.inspection import InspectedCine, Inspection, inspect
    from casgan_dicom.conversion.options import ConvertOptions, FrameChoice, InjectionChoice, ViewChoice
    from casgan_dicom.conversion.reference_choice import ReferenceChoice
    from casgan_dicom.conversion.report import ConvertReport, Output, Skipped
    from casgan_dicom.conversion.task import Step
    from casgan_dicom.errors import (
        CasganError,
        ConfigError,
        OutputError,
        PeerError,
        PixelError,
        SeriesError,
        WeightsError,
    )
    from casgan_dicom.lab.simulate import simulate
    from casgan_dicom.lab.train import Trained, TrainOptions, train
    from casgan_dicom.model.drawing import Synthesis
    from casgan_dicom.model.generator import Generator
    from casgan_dicom.model.simulator.cine import SimulatedCine
    from casgan_dicom.pixels.compress import Compression
    from casgan_dicom.verification.comparison import Finding
    from casgan_dicom.verification.verify import verify

__version__ = "0.1.0"

__all__ = [
    "CasganError",
    "Compression",
    "ConfigError",
    "ConvertOptions",
    "ConvertReport",
    "Finding",
    "FrameChoice",
    "Generator",
    "InjectionChoice",
    "InspectedCine",
    "Inspection",
    "Output",
    "OutputError",
    "PeerError",
    "PixelError",
    "ReferenceChoice",
    "SeriesError",
    "SimulatedCine",
    "Skipped",
    "Step",
    "Synthesis",
    "TrainOptions",
    "Trained",
    "ViewChoice",
    "WeightsError",
    "__version__",
    "convert",
    "inspect",
    "simulate",
    "train",
    "verify",
]

_ROOMS = {
    "conversion.convert": ("convert",),
    "conversion.inspection": ("InspectedCine", "Inspection", "inspect"),
    "conversion.options": ("ConvertOptions", "FrameChoice", "InjectionChoice", "ViewChoice"),
    "conversion.reference_choice": ("ReferenceChoice",),
    "conversion.report": ("ConvertReport", "Output", "Skipped"),
    "conversion.task": ("Step",),
    "errors": (
        "CasganError",
        "ConfigError",
        "OutputError",
        "PeerError",
        "PixelError",
        "SeriesError",
        "WeightsError",
    ),
    "lab.simulate": ("simulate",),
    "lab.train": ("TrainOptions", "Trained", "train"),
    "model.drawing": ("Synthesis",),
    "model.generator": ("Generator",),
    "model.simulator.cine": ("SimulatedCine",),
    "pixels.compress": ("Compression",),
    "verification.comparison": ("Finding",),
    "verification.verify": ("verify",),
}
"""What is fetched from where; as texts, so that this file imports no room and ties none to another."""


def _fetch(name: str) -> object:
    """Find a name of `__all__` and keep it; AttributeError for any other."""
    for room, names in _ROOMS.items():
        if name in names:
            found: object = getattr(importlib.import_module(f"{__name__}.{room}"), name)
            globals()[name] = found
            return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


if not TYPE_CHECKING:  # a type checker would take every name for one of this module
    __getattr__ = _fetch


def __dir__() -> list[str]:
    return sorted({*__all__, *(name for name in globals() if name.startswith("__"))})
