"""How much lies in a folder: looked at on the disk, where a person may have deleted something."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


def bytes_in(folder: Path) -> int:
    """Length of all files in a folder and in those in it; 0 if it is not there."""
    return sum(bytes_by_name(folder).values())


def bytes_by_name(folder: Path) -> dict[str, int]:
    """Length of each file in a folder, and of all in each folder in it, by name; no link is followed."""
    found: dict[str, int] = {}
    with suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            with suppress(FileNotFoundError):
                is_folder = entry.is_dir(follow_symlinks=False)
                length = entry.stat(follow_symlinks=False).st_size
                found[entry.name] = bytes_in(Path(entry.path)) if is_folder else length
    return found
