"""How large and how square the pixels of a derived object are, by the header of its source.

Millimetres are carried over only where they were measured in the patient. The shape of a pixel does not hang
on that: a circle has to stay one, so where no spacing stands, Pixel Aspect Ratio (0028,0034) does (type 1C,
PS3.3 C.7.6.3.1.7). Distances, angles and table positions have no place in a Secondary Capture or a
Segmentation (PS3.3 A.8, A.51).
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from pydicom.dataset import Dataset
from pydicom.tag import Tag

from casgan_dicom.source.elements import numbers, one_text

CALIBRATED = ("FIDUCIAL", "GEOMETRY")
"""Terms of Pixel Spacing Calibration Type (0028,0A02) for millimetres in the patient."""
_SPACINGS = ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing")
"""What says how large a pixel is, each as rows then columns; the first that is there counts."""
_RATIO = "PixelAspectRatio"
_FINEST = 1000
"""Largest part of a ratio that comes of two spacings: closer than they are measured."""
MAX_INTEGER = 2**31 - 1
"""Largest integer string (IS), PS3.5 6.2."""


def is_calibrated(source: Dataset) -> bool:
    """Whether Pixel Spacing (0028,0030) of `source` was measured in the patient, not at the detector.

    Without Pixel Spacing Calibration Type (0028,0A02) it may be a copy of Imager Pixel Spacing (0018,1164),
    and millimetres at the detector would be false millimetres on invented vessels (PS3.3 10.7.1.3).
    """
    known = one_text(source, "PixelSpacingCalibrationType") in CALIBRATED
    return known and _sides(source, "PixelSpacing") is not None


def aspect_ratio(ds: Dataset) -> tuple[int, int] | None:
    """Height and width of a pixel, in the form of Pixel Aspect Ratio (0028,0034); None for a square one.

    By Pixel Spacing (0028,0030), else Imager Pixel Spacing (0018,1164), else Nominal Scanned Pixel Spacing
    (0018,2010), else by Pixel Aspect Ratio itself, which may stand only where none of these does. What is no
    pair of numbers above 0 says nothing.
    """
    for keyword in _SPACINGS:
        if sides := _sides(ds, keyword):
            return _whole(sides)
    given = _sides(ds, _RATIO)
    if given is None or given[0] == given[1]:
        return None
    whole = all(side.denominator == 1 and side <= MAX_INTEGER for side in given)
    return (int(given[0]), int(given[1])) if whole else _whole(given)


def notes_on_geometry(ds: Dataset) -> Iterator[str]:
    """What is odd about the pixels' size and shape, one sentence each."""
    ratio, stated = aspect_ratio(ds), _sides(ds, _RATIO)
    for keyword in (*_SPACINGS, _RATIO):
        if keyword in ds and not ds[keyword].is_empty and _sides(ds, keyword) is None:
            yield f"{keyword} {Tag(keyword)} is no pair of numbers above 0 and says nothing"
    by = next((keyword for keyword in _SPACINGS if _sides(ds, keyword)), _RATIO)
    if ratio:
        yield (
            f"pixels are not square ({ratio[0]}\\{ratio[1]} by {by} {Tag(by)}): the output says so, but the "
            "networks have only seen square ones"
        )
    if stated and by != _RATIO and not _alike(stated, _sides(ds, by)):
        yield f"{_RATIO} {Tag(_RATIO)} contradicts {by} {Tag(by)}, which counts"


def _sides(ds: Dataset, keyword: str) -> tuple[Fraction, Fraction] | None:
    """Two numbers above 0; None for whatever else."""
    found = numbers(ds, keyword)
    if len(found) != 2 or min(found) <= 0:
        return None
    return Fraction(repr(found[0])), Fraction(repr(found[1]))


def _whole(sides: tuple[Fraction, Fraction]) -> tuple[int, int] | None:
    """The ratio of two lengths as two integers; None where they are the same."""
    lower, upper = sorted(sides)
    share = (lower / upper).limit_denominator(_FINEST) or Fraction(1, _FINEST)
    if share == 1:
        return None
    parts = share.numerator, share.denominator
    return parts if sides[0] == lower else parts[::-1]


def _alike(one: tuple[Fraction, Fraction], other: tuple[Fraction, Fraction] | None) -> bool:
    return other is None or abs(one[0] * other[1] / (one[1] * other[0]) - 1) < Fraction(1, _FINEST)
