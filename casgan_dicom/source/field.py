"""How large a picture a header claims, and whether an angiography system takes such pictures of a heart."""

from __future__ import annotations

from casgan_dicom.source.cine import Cine
from casgan_dicom.source.elements import numbers

LARGEST_MM = 420.0
"""Longest side of a picture in the detector's plane: the largest detectors of C-arms have 41 cm, those for
radiographs of a chest 43."""


def implausible_field(cine: Cine) -> str:
    """Say that the picture is too large for an angiogram of a heart; empty where it is not, or is unknown."""
    spacing = numbers(cine.header, "ImagerPixelSpacing")
    if len(spacing) != 2 or min(spacing) <= 0:
        return ""
    side = max(cine.rows * spacing[0], cine.columns * spacing[1])
    if side <= LARGEST_MM:
        return ""
    found = f"ImagerPixelSpacing (0018,1164) means a picture of {side:.0f} mm"
    return f"{found}, need at most {LARGEST_MM:.0f} for an angiogram of a heart"
