"""The note about where a worker is in a series: a file, overwritten in place, that outlives its process."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

PAUSED = "paused"
"""What the note of a conversion begins with that gave way: it is not what the process dies of."""


@dataclass
class PlaceNote:
    """The note about where the worker is."""

    path: Path

    def left(self) -> str | None:
        """What a process that died left; None if none did, or it was at another series."""
        try:
            found = self.path.read_text(encoding="ascii").strip()
        except FileNotFoundError:
            return None
        return None if found.startswith(PAUSED) else found or None

    def note(self, place: str) -> None:
        """Write where we are, in place and padded, so that nothing of the note before stays."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(self.path, os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            os.pwrite(handle, place.ljust(128).encode("ascii"), 0)
        finally:
            os.close(handle)

    def clear(self) -> None:
        """Nothing is in work."""
        self.path.unlink(missing_ok=True)
