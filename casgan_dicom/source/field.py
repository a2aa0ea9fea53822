"""How large a picture a header claims, and whether an angiography system takes such pictures of a heart."""

from __future__ import annotations

from casgan_dicom.source.cine import Cine
from casgan_dicom.source.elements import numbers

FIELD_MM = (60.0, 420.0)
"""Longer side of a picture in the detector's plane: the largest detectors of C-arms have 41 cm, those for
radiographs of a chest 43."""


def implausible_field(cine: Cine) -> str:
    """Say that the size of the picture fits no angiogram of a heart; empty where it may, or is unknown."""
    spacing = numbers(cine.header, "ImagerPixelSpacing")
    if len(spacing) != 2 or min(spacing) <= 0:
        return ""
    side = max(cine.rows * spacing[0], cine.columns * spacing[1])
    low, high = FIELD_MM
    if low <= side <= high:
        return ""
    found = f"ImagerPixelSpacing (0018,1164) means a picture of {side:.0f} mm"
    return f"{found}, need {low:.0f} to {high:.0f} for an angiogram of a heart"
