"""A listener for tests: the real one, in a thread, on a free port."""

from __future__ import annotations

import hashlib
import io
import json
import logging
import os
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

from pydicom import dcmread

from casgan_dicom.log import configure
from casgan_dicom.node.receive.listener import run_listener
from casgan_dicom.node.receive.peer_socket import DEFAULT_LIMITS, Limits
from casgan_dicom.node.settings import ListenerSettings, NodeSettings, PeerSettings
from casgan_dicom.node.state.layout import Layout
from casgan_dicom.node.state.postgres_place import Place
from tests.node.tables import rows_in
from tests.support import waiting
from tests.support.factories import write_xa
from tests.support.serving import service

WAIT_SECONDS = 60.0
"""How long a test waits for what has to come; generous, for a busy machine."""


@dataclass(frozen=True)
class Listening:
    """A listener that runs."""

    port: int
    """Where it listens."""
    layout: Layout
    """Where its files are."""
    stop: threading.Event
    """Ends it."""

    def rows(self, table: str = "instances") -> list[dict[str, Any]]:
        """Rows of the ledger, seen through a connection of our own."""
        return rows_of(self.layout, table)

    def files(self) -> list[Path]:
        """Every file in the spool, those that are being received included."""
        return sorted(path for path in self.layout.spool.rglob("*") if path.is_file())


def rows_of(layout: Layout, table: str = "instances") -> list[dict[str, Any]]:
    """Rows of a ledger in SQLite."""
    return rows_in(layout.ledger, table, "rowid")


def settings_for(data: Path, peers: tuple[PeerSettings, ...] = (), **listener: object) -> NodeSettings:
    """Settings of a listener on a free port that does not mind a full disk."""
    own = cast(dict[str, Any], {"port": 0, "min_free_bytes": 0} | listener)
    return NodeSettings(data=data, listener=ListenerSettings(**own), peers=peers)


@contextmanager
def listening(
    data: Path, *, peers: tuple[PeerSettings, ...] = (), limits: Limits = DEFAULT_LIMITS, **listener: object
) -> Iterator[Listening]:
    """Run a listener for the time of a block; whatever ends it early is raised here."""
    settings = settings_for(data, peers, **listener)
    with service(partial(run_listener, settings, "recipe", limits=limits)) as (port, stop):
        yield Listening(port, Layout(data), stop)


@contextmanager
def log_lines() -> Iterator[io.StringIO]:
    """What the block logs, as JSON lines; the logging of the test run is put back after it."""
    stream, root = io.StringIO(), logging.getLogger()
    before = list(root.handlers)
    configure(stream, "json", level=logging.DEBUG)
    try:
        yield stream
    finally:
        for handler in [h for h in root.handlers if h not in before]:
            root.removeHandler(handler)


def events(stream: io.StringIO) -> list[dict[str, Any]]:
    """What was logged, parsed."""
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def wait_for(condition: Callable[[], object], what: str, seconds: float = WAIT_SECONDS) -> None:
    """Look at a condition until it holds; AssertionError that says `what` did not come."""
    waiting.wait_for(condition, what, seconds)


def open_files() -> int:
    """File numbers that this process has open, without those of databases, which SQLite keeps for a while."""
    links = []
    for number in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # that of the folder itself
            links.append(str(number.readlink()))
    return sum(".sqlite" not in link for link in links)


def data_set(folder: Path, **header: object) -> bytes:
    """An encoded data set, as it goes over the wire; arguments of `write_xa`."""
    return data_set_of(
        write_xa(folder / f"made-{len(list(folder.iterdir()))}", **cast(dict[str, Any], header))
    )


def data_set_of(path: Path) -> bytes:
    """What stands behind the File Meta Information of a file."""
    content = path.read_bytes()
    (length,) = struct.unpack("<I", content[140:144])  # (0002,0000) UL
    return content[144 + length :]


def digest(transfer_syntax: str, content: bytes) -> str:
    """What the ledger has to say about a data set; not computed by our own code."""
    return hashlib.sha256(transfer_syntax.encode() + b"\n" + content).hexdigest()


def check_spool(layout: Layout, place: Place | None = None) -> int:
    """Assert that rows and files agree in every byte; the number of instances."""
    rows = rows_in(place or layout.ledger)
    for row in rows:
        path = Path(row["path"])
        syntax = str(dcmread(path, stop_before_pixels=True, specific_tags=[]).file_meta.TransferSyntaxUID)
        assert digest(syntax, data_set_of(path)) == row["sha256"]
        assert path.stat().st_size == row["bytes"]
    spooled = {path for path in layout.spool.rglob("*") if path.is_file()}
    assert spooled == {Path(row["path"]) for row in rows}
    return len(rows)


def resident_bytes(pid: int | None = None) -> int:
    """Resident memory of a process."""
    pages = int(Path(f"/proc/{pid or os.getpid()}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
