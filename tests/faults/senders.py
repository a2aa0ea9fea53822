"""Modalities that send made-up instances as fast as they can, and remember what was acknowledged."""

from __future__ import annotations

import random
import re
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from casgan_dicom.errors import PeerError
from casgan_dicom.node.client.peer import Peer
from casgan_dicom.node.client.peer_tls import PeerTls
from casgan_dicom.node.client.results import StoreResult
from casgan_dicom.node.client.scu import store
from casgan_dicom.node.receive.spool import Opening, file_head
from tests.node.listening import data_set_of, digest
from tests.node.secure import Door
from tests.node.wire import EXPLICIT, XA
from tests.support.factories import moving_frames, write_xa

_SOP, _SERIES = (f"1.2.826.0.1.{kind}.{'9' * 24}" for kind in (1, 2))
"""Placeholders, as long as what comes in their place."""
_PIXEL_DATA = b"\xe0\x7f\x10\x00OB\0\0"


class Template:
    """Makes instances by putting other UIDs and other pixels into an encoded one."""

    def __init__(self, folder: Path) -> None:
        # Without Rows (0028,0010) the header promises no length of Pixel Data.
        uids = {"SOPInstanceUID": _SOP, "SeriesInstanceUID": _SERIES}
        path = write_xa(folder / "template", moving_frames(1), Rows=None, **uids)
        content = data_set_of(path)
        path.unlink()
        self._content = content[: content.rindex(_PIXEL_DATA) + len(_PIXEL_DATA)]
        assert self._content.count(_SOP.encode()) == self._content.count(_SERIES.encode()) == 1

    def instance(self, series: int, number: int, length: int) -> tuple[str, bytes]:
        """SOP Instance UID and data set, with Pixel Data of so many bytes; DCMTK would change none."""
        sop_uid = f"1.2.826.0.1.1.1{series:011d}{number:012d}"
        content = self._content.replace(_SOP.encode(), sop_uid.encode())
        content = content.replace(_SERIES.encode(), f"1.2.826.0.1.2.1{series:023d}".encode())
        return sop_uid, content + length.to_bytes(4, "little") + random.Random(number).randbytes(length)


class Sender(threading.Thread):
    """Sends instances whenever it is allowed to, until it is stopped; a subclass says how."""

    def __init__(self, door: Door, template: Template, series: int) -> None:
        super().__init__(daemon=True)
        self.door = door
        self.acknowledged: list[tuple[str, str]] = []
        """SOP Instance UID and digest of what was answered 0000."""
        self.unexpected: list[str] = []
        """What else was answered."""
        self.allowed = threading.Event()
        self._stop_asked = threading.Event()
        self._idle = threading.Event()
        self._instances = self._make(template, series)

    def run(self) -> None:
        """Send."""
        while not self._stop_asked.is_set():
            self._idle.set()
            if self.allowed.wait(0.1):
                self._idle.clear()
                with suppress(OSError, AssertionError):  # the listener was killed
                    self.send_some()

    def forbid(self) -> None:
        """Let it wait; returns when it does."""
        self.allowed.clear()
        self._idle.clear()
        self._idle.wait()

    def stop(self) -> None:
        """End it."""
        self._stop_asked.set()
        self.allowed.set()
        self.join()

    def send_some(self) -> None:
        """Send some instances over one association."""
        raise NotImplementedError

    def goes_on(self) -> bool:
        """Whether another instance may be sent."""
        return self.allowed.is_set() and not self._stop_asked.is_set()

    def next(self) -> tuple[str, bytes]:
        """The next instance."""
        return next(self._instances)

    def note(self, sop_uid: str, content: bytes, status: int) -> None:
        """Remember an answer."""
        if status == 0:
            self.acknowledged.append((sop_uid, digest(EXPLICIT, content)))
        else:
            self.unexpected.append(f"{status:04X}")

    @staticmethod
    def _make(template: Template, series: int) -> Iterator[tuple[str, bytes]]:
        chance = random.Random(series)
        number = 0
        while True:
            number += 1
            of_series = series * 1000 + number // 50
            yield template.instance(of_series, number, chance.choice([100, 2_000, 60_000, 600_000]))


class WireSender(Sender):
    """Sends byte by byte by our own hand."""

    def send_some(self) -> None:
        """Send until the connection breaks."""
        with self.door.associated(calling="WIRE") as wire:
            while self.goes_on():
                sop_uid, content = self.next()
                self.note(sop_uid, content, wire.store(XA, sop_uid, content).status)


class FileSender(Sender):
    """Sends files, some at a time; a subclass says with what."""

    def __init__(self, door: Door, template: Template, series: int, folder: Path) -> None:
        super().__init__(door, template, series)
        self._folder = folder
        folder.mkdir()

    def send_some(self) -> None:
        """Send some new files once."""
        contents = {}
        for _ in range(20):
            sop_uid, content = self.next()
            path = self._folder / sop_uid
            path.write_bytes(file_head(Opening(XA, sop_uid, EXPLICIT, "FILES")) + content)
            contents[path] = sop_uid, content
        for path, status in self.send_files(list(contents)):
            self.note(*contents[path], status)
        for path in contents:
            path.unlink()

    def send_files(self, paths: Sequence[Path]) -> list[tuple[Path, int]]:
        """Send files over one association; what was answered for each, where anything was."""
        raise NotImplementedError


class NodeSender(FileSender):
    """Sends with the node's own sender."""

    tls: PeerTls | None = None
    """How it talks TLS."""

    def send_files(self, paths: Sequence[Path]) -> list[tuple[Path, int]]:
        """Send files."""
        results: list[StoreResult] = []
        with suppress(PeerError):
            peer = Peer("127.0.0.1", self.door.port, "CASGAN", "NODE", tls=self.tls)
            store(peer, paths, results.append)
        return [(result.path, result.status) for result in results if result.status is not None]


class DcmtkSender(FileSender):
    """Sends with DCMTK's storescu."""

    program = ""
    """Where it is."""
    options: Sequence[str] = ()
    """How it talks TLS."""

    def send_files(self, paths: Sequence[Path]) -> list[tuple[Path, int]]:
        """Send files."""
        there = ["-aec", "CASGAN", "127.0.0.1", str(self.door.port)]
        command = [self.program, "-v", *self.options, *there, *map(str, paths)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        answers, sent = [], ""
        for line in (done.stdout + done.stderr).splitlines():
            if match := re.search(r"Sending file: (.+)", line):
                sent = match[1]
            elif match := re.search(r"Received Store Response \((.+)\)", line):
                answers.append((Path(sent), 0 if match[1] == "Success" else 0xFFFF))
        return answers
