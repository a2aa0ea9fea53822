"""The disk beside the ledger: every file there, of the right length and content, and none that nobody knows.

A node that runs writes and removes meanwhile. So what is wrong is looked at again in the ledger, and a file
that has come only just now is left for the next time.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, get_args

from casgan_dicom.disk import file_sha256
from casgan_dicom.node.proof.deviation import Deviation, Kind
from casgan_dicom.node.receive.file_meta import LONGEST_META, read_file_meta
from casgan_dicom.node.state.evidence import IN_WORK, Evidence, Room, Wanted
from casgan_dicom.node.state.layout import Layout

_REPORT = "report.json"
"""What a conversion leaves beside its objects."""
_PIECE = 1 << 20
_HEAD = LONGEST_META + 1024


@dataclass(frozen=True)
class Disk:
    """The data folder of a node."""

    layout: Layout
    """Where it is."""
    evidence: Evidence
    """What should be there."""
    hashes: bool = True
    """Whether to read every file."""

    def wrong(self, wanted: Wanted) -> Deviation | None:
        """What is wrong with a file; None if nothing is, or if it should not be there any more."""
        place = place_of(self.layout, wanted)
        kind = self._kind(wanted, place)
        if kind is None or not self.evidence.wants(wanted):
            return None
        return Deviation(kind, wanted.room, str(place))

    def strangers(self, before: float) -> Iterator[Deviation]:
        """Files that nobody knows, of those whose names came there `before` a moment."""
        for room in get_args(Room):
            root: Path = getattr(self.layout, room)
            for holder in [root] if room == "quarantine" else sorted(root.glob("*")):
                if holder == self.layout.incoming:  # nothing in it was acknowledged
                    continue
                for path in self._unknown(room, holder):
                    with suppress(FileNotFoundError):  # removed meanwhile
                        if path.lstat().st_ctime < before:
                            yield Deviation("unknown-file", room, str(path))

    def _unknown(self, room: Room, holder: Path) -> list[Path]:
        """The files of a series, of a job, or what lies directly in a room, that the ledger does not know."""
        files = sorted(Path(folder) / name for folder, _, names in os.walk(holder) for name in names)
        files = files or [holder][: not holder.is_dir()]
        known = self.evidence.known(room, holder.name) if files else set()  # after they were seen
        unknown = [path for path in files if path.name not in known]
        if room == "outbox" and unknown:
            state = self.evidence.state_of(holder.name)
            if state in IN_WORK:
                return []
            return [path for path in unknown if state is None or path.name != _REPORT]
        return unknown

    def _kind(self, wanted: Wanted, place: Path) -> Kind | None:
        try:
            length = place.stat().st_size
            if wanted.bytes is not None and length != wanted.bytes:
                return "length"
            if self.hashes and wanted.sha256 and _digest(wanted.room, place) != wanted.sha256:
                return "damaged"
        except FileNotFoundError:
            return "missing"
        except (OSError, ValueError):  # of a disk that fails, or no DICOM file any more
            return "damaged"
        return None


def place_of(layout: Layout, wanted: Wanted) -> Path:
    """Where a file is: the data folder may have been moved, or be reached by another path."""
    parts = wanted.path.parts
    if wanted.room not in parts:
        return wanted.path
    at = len(parts) - parts[::-1].index(wanted.room)
    root: Path = getattr(layout, wanted.room)
    return root.joinpath(*parts[at:])


def _digest(room: Room, place: Path) -> str:
    """What the ledger should say of a file. Raises OSError, ValueError."""
    if room != "spool":
        return file_sha256(place)
    with place.open("rb") as file:
        meta = read_file_meta(file.read(_HEAD))
        if meta is None:
            raise ValueError("is cut short")
        file.seek(meta.offset)
        return _of_data_set(file, meta.transfer_syntax)


def _of_data_set(file: BinaryIO, transfer_syntax: str) -> str:
    """Digest of transfer syntax and data set, as they came (``receive/spool.py``)."""
    digest = hashlib.sha256(transfer_syntax.encode() + b"\n")
    while piece := file.read(_PIECE):
        digest.update(piece)
    return digest.hexdigest()
