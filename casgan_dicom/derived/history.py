"""What sticks to pixels for good, as far as the source says it: identity burned in, faces, compression.

An element that is absent, empty or holds no legal value says nothing, and nothing is unknown: it never
becomes a "no". ``verification/comparison.py`` holds the same as checks.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydicom.dataset import Dataset

from casgan_dicom.source.elements import one_text

YesNo = Literal["YES", "NO"]


def said_by_all(headers: Sequence[Dataset], keyword: str) -> YesNo | None:
    """What headers say of a run by an element of YES and NO.

    YES where one of them does, NO where every one does; None, which is unknown, for the rest.
    """
    said = [one_text(header, keyword) for header in headers]
    if "YES" in said:
        return "YES"
    return "NO" if said and set(said) == {"NO"} else None


def burned_in(headers: Sequence[Dataset]) -> YesNo | None:
    """Whether the pixels identify the patient, Burned In Annotation (0028,0301); None where nobody says."""
    return said_by_all(headers, "BurnedInAnnotation")


def declared_lossless(headers: Sequence[Dataset]) -> bool:
    """Whether every header says that nothing was ever lost: Lossy Image Compression (0028,2110) is 00."""
    return all(one_text(header, "LossyImageCompression") == "00" for header in headers)


def unknown_history(
    headers: Sequence[Dataset],
    *,
    lossy: bool,
    burning: bool = True,
    timed: bool = True,
    laid_over: Sequence[Dataset] = (),
) -> str:
    """What the headers leave open, one clause without its full stop; empty where they say it all.

    `lossy` is whether the pixels are known to have lost information; `burning` is False for an object that
    holds no pixels of the source; `timed` is False where the frame rate is assumed; `laid_over` are the
    headers of another run whose vessels the pixels hold, of which only the loss is asked.
    """
    unsaid = []
    if burning and burned_in(headers) is None:
        unsaid.append("whether identity is burned in")
    if not lossy and not declared_lossless((*headers, *laid_over)):
        unsaid.append("whether compression ever lost information")
    if not timed:
        unsaid.append("at which rate the frames were taken")
    return f"The source does not say {' or '.join(unsaid)}" if unsaid else ""
