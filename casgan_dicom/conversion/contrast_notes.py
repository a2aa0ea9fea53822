"""What a report says about contrast that is already there."""

from __future__ import annotations

from collections.abc import Iterator

from casgan_dicom.conversion.opacification import Opacification
from casgan_dicom.conversion.options import FrameChoice
from casgan_dicom.conversion.report import FrameContrast


def notes_on_contrast(choice: FrameChoice, chosen: tuple[int, ...], found: Opacification) -> Iterator[str]:
    """How many of the converted frames, numbers from 0, already show contrast, and how sure that is."""
    marked = [k for k in chosen if found.opacified[k]]
    if not marked:
        return
    lowest = min(found.probability[k] for k in marked)
    sure = all(found.sure[k] for k in marked)
    show = "already show" if sure else f"may already show (probability from {lowest:.2f} up)"
    asked = choice.text == "non-contrast"
    what = "converted all the same since that is not sure" if asked else "see --frames non-contrast"
    yield f"{len(marked)} of {len(chosen)} frames {show} opacified vessels, {what}"


def contrast_of(found: Opacification) -> tuple[FrameContrast, ...]:
    """What tells of each source frame whether it shows contrast."""
    told = zip(found.probability, found.cover, found.reason, strict=True)
    return tuple(FrameContrast(number, *one) for number, one in enumerate(told, 1))
