"""What there is to play: an exhibit is the files of one item, a shelf finds it by its name.

Whoever mounts the player (the page of a node, ``casgan-dicom view``) has a shelf of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True)
class Exhibit:
    """The files of one item."""

    sources: tuple[Path, ...]
    """DICOM files that were converted; none where they are gone."""
    derived: tuple[Path, ...]
    """What was made of them: pictures, single frames, maps, segmentations, structured reports."""


class Shelf(Protocol):
    """Finds exhibits."""

    def find(self, name: str) -> Exhibit | None:
        """The exhibit of that name; None where there is none."""
