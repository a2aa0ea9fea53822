"""Which window of a header is used: the first of several that can be (PS3.3 C.11.2.1.2, C.11.2.1.3)."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import zip_longest

from pydicom.dataset import Dataset

from casgan_dicom.source.elements import numbers_or_gaps

FUNCTIONS = ("LINEAR", "LINEAR_EXACT", "SIGMOID")
"""Terms of VOI LUT Function (0028,1056)."""
_NAMES = "WindowCenter (0028,1050), WindowWidth (0028,1051)"


@dataclass(frozen=True)
class Windows:
    """The windows of a header."""

    pairs: tuple[tuple[float | None, float | None], ...]
    """Center and width of each as stated; None where there is no number."""
    function: str
    """VOI LUT Function (0028,1056), LINEAR where absent."""

    @property
    def chosen(self) -> tuple[float, float] | None:
        """Center and width of the first that can be used; None where none can."""
        for center, width in self.pairs:
            if center is not None and width is not None and self.allows(width):
                return center, width
        return None

    def allows(self, width: float) -> bool:
        """Whether the function takes this width: below 1 only LINEAR_EXACT and SIGMOID do, 0 none."""
        return width >= 1 or (width > 0 and self.function in ("LINEAR_EXACT", "SIGMOID"))


def windows_of(ds: Dataset) -> Windows:
    """Read the windows of a header; whatever it holds, nothing is raised."""
    centers, widths = numbers_or_gaps(ds, "WindowCenter"), numbers_or_gaps(ds, "WindowWidth")
    return Windows(tuple(zip_longest(centers, widths)), str(ds.get("VOILUTFunction") or "LINEAR").upper())


def window_notes(ds: Dataset) -> list[str]:
    """Say where the window that a header states first, or its function, is not the one that is shown."""
    windows = windows_of(ds)
    if not windows.pairs or ds.get("VOILUTSequence"):
        return []
    if windows.function not in FUNCTIONS:
        terms = ", ".join(FUNCTIONS)
        return [f"VOILUTFunction (0028,1056) is none of {terms}: read as LINEAR", *_not_first(windows)]
    return _not_first(windows)


def _not_first(windows: Windows) -> list[str]:
    """The sentence on windows of which the first is not the one that is shown."""
    chosen = windows.chosen
    if chosen is None:
        each = "the window" if len(windows.pairs) == 1 else f"none of {len(windows.pairs)} windows"
        can = "cannot" if len(windows.pairs) == 1 else "can"
        return [f"{_NAMES}: {each} {can} be used (center or width), the full range is shown"]
    if (place := windows.pairs.index(chosen)) > 0:
        return [f"{_NAMES}: window 1 cannot be used (center or width), window {place + 1} is shown"]
    return []
