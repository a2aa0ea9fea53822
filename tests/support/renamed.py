"""Files whose File Meta Information names another encoding than their data set has."""

from __future__ import annotations

from pathlib import Path

from pydicom.uid import UID

from tests.support.factories import Frames, write_xa


def parts(path: Path) -> tuple[bytes, bytes]:
    """File Meta Information with what stands before it, and the data set."""
    content = path.read_bytes()
    start = 144 + int.from_bytes(content[140:144], "little")  # File Meta Information Group Length (0002,0000)
    return content[:start], content[start:]


def renamed(path: Path, run: Frames, written: UID, named: UID, **header: object) -> Path:
    """A run in one syntax, with File Meta Information of another."""
    _, data = parts(write_xa(path, run, syntax=written, **header))
    meta, _ = parts(write_xa(path, run, syntax=named, **header))
    path.write_bytes(meta + data)
    return path
