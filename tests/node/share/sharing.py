"""A host that gives its files, for tests: the real keeper, in a thread, over real HTTP."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from casgan_dicom.node.receive.reception import Reception
from casgan_dicom.node.receive.spool import Opening, Spool
from casgan_dicom.node.settings import NodeSettings, StateSettings
from casgan_dicom.node.share.absence import Patience
from casgan_dicom.node.share.fetching import Fetcher
from casgan_dicom.node.share.membership import host_of, join
from casgan_dicom.node.state.books import open_ledger
from casgan_dicom.node.state.clock import SharedClock
from casgan_dicom.node.state.deliveries import Deliveries, Derived
from casgan_dicom.node.state.holdings import HeldFile, Holdings
from casgan_dicom.node.state.hosts import Hosts
from casgan_dicom.node.state.layout import Layout
from casgan_dicom.node.state.ledger import Ledger
from casgan_dicom.node.state.receipts import Receipts
from casgan_dicom.node.work.keeper import run_keeper
from tests.node.listening import data_set_of
from tests.node.several import host_settings
from tests.node.wire import EXPLICIT, XA
from tests.support.factories import moving_frames, uid, write_xa
from tests.support.serving import service


@dataclass(frozen=True)
class Sharing:
    """A host that gives its files."""

    settings: NodeSettings
    ledger: Ledger
    """That of all hosts."""

    @property
    def layout(self) -> Layout:
        """Where its files are."""
        return Layout(self.settings.data)

    @property
    def url(self) -> str:
        """Where it gives them."""
        return host_of(self.settings).address

    def receive(self, name: str) -> HeldFile:
        """Have an instance come in there."""
        path = write_xa(self.settings.data / "made" / name, moving_frames(4), SOPInstanceUID=uid(name))
        spool = Spool(self.layout, 2**30, 0)
        spool.make()
        intake = spool.begin(Opening(XA, uid(name), EXPLICIT, "CATHLAB"))
        intake.write(memoryview(data_set_of(path)))
        digest = intake.digest
        reception = Reception(spool, Receipts(self.ledger, "r", self.settings.host.name))
        assert reception.take(intake, "127.0.0.1").status == 0
        return self.held(name, digest)

    def held(self, name: str, digest: str) -> HeldFile:
        """An instance that the ledger says is there."""
        found = Holdings(self.ledger).instance(self.settings.host.name, uid(name), digest)
        assert found is not None
        return found

    def make(self, job: str, name: str, content: bytes, sha256: str) -> HeldFile:
        """Have an object lie in its outbox."""
        path = self.layout.outbox / job / "1.2" / f"{uid(name)}.dcm"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        host = self.settings.host.name
        made = Derived(uid(name), uid("derived"), path, sha256, 3, host=host)
        assert Deliveries(self.ledger).put(job, [made], [], 3.0)
        found = Holdings(self.ledger).object(host, job, uid(name))
        assert found is not None
        return found

    def fetcher(self, patience: float = 1.0, **host: str) -> Fetcher:
        """What another host gets files with."""
        changed: dict[str, Any] = {"name": "other", "share_port": 0, **host}
        own = replace(self.settings.host, **changed)
        settings = replace(self.settings, data=self.settings.data.parent / "other", host=own)
        return Fetcher(settings, Hosts(self.ledger), SharedClock(self.ledger), Patience(patience, 0.05))


@contextmanager
def sharing(folder: Path, **host: str | bool) -> Iterator[Sharing]:
    """Run one for the time of a block, on a ledger of SQLite, which several folders may open in tests."""
    settings = host_settings(folder, "a", StateSettings(), **host)
    settings.data.mkdir()
    ledger = open_ledger(settings)
    join(settings, ledger, host_of(settings))

    def run(on_ready: Callable[[int], None], stop: threading.Event) -> None:
        run_keeper(settings, lambda: on_ready(0), stop)

    try:
        with service(run):
            yield Sharing(settings, ledger)
    finally:
        ledger.close()
        shutil.rmtree(settings.data)
