"""The page of a node, for tests: the real one, in a thread, on a free port, over a ledger of everything."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx

from casgan_dicom.node.changes import Changes
from casgan_dicom.node.settings import (
    DestinationSettings,
    ListenerSettings,
    NodeSettings,
    PageSettings,
    PeerSettings,
    RuleSettings,
)
from casgan_dicom.node.state.deliveries import Attempt, Deliveries, Delivery, Derived
from casgan_dicom.node.state.jobs import JobList, JobState
from casgan_dicom.node.state.layout import Layout
from casgan_dicom.node.state.ledger import Ledger
from casgan_dicom.node.state.receipts import Receipts, Refused
from casgan_dicom.node.state.rejections import Rejections
from casgan_dicom.node.web.server import run_page
from tests.node.ledgers import received
from tests.player.exhibits import exhibit_in
from tests.support.factories import uid
from tests.support.orthanc import free_ports
from tests.support.serving import service

ACT, LOOK = "a-token-that-may-act-5512", "a-token-that-may-look-771"
PROCESSES = ("listener", "sender", "worker.cpu", "coordinator")


@dataclass(frozen=True)
class Looking:
    """One that runs."""

    url: str
    """Where it is, without a path."""
    port: int
    """Where it listens."""
    layout: Layout
    """Where its files are."""
    ledger: Ledger
    """Of the node."""
    changes: Changes
    """Tells it of other settings."""

    def ask(
        self,
        method: str,
        path: str,
        token: str = ACT,
        headers: dict[str, str] | None = None,
        **more: Any,  # noqa: ANN401
    ) -> httpx.Response:
        """Ask it as a program does, with a token; no token is an empty one."""
        bearer = {"Authorization": f"Bearer {token}"} if token else {}
        told = bearer | (headers or {})
        return httpx.request(method, self.url + path, headers=told, timeout=60, trust_env=False, **more)

    def get(self, path: str, token: str = ACT) -> Any:  # noqa: ANN401
        """What it answers in JSON, once it has."""
        found = self.ask("GET", f"/api/v1{path}", token)
        assert found.status_code == 200, found.text
        return found.json()

    def post(self, path: str, body: object = None, token: str = ACT) -> httpx.Response:
        """Have it do something."""
        return self.ask("POST", f"/api/v1{path}", token, json=body)


def page_settings(data: Path, **page: Any) -> NodeSettings:  # noqa: ANN401
    """Settings of a node with a page on a free port, whose tokens are `ACT` and `LOOK`."""
    (port,) = free_ports(1)
    data.mkdir(parents=True, exist_ok=True)
    tokens = data.parent / "tokens"
    tokens.touch(mode=0o600)
    tokens.write_text(f"anna act {ACT}\nwallboard  look  {LOOK}\n")
    own: dict[str, Any] = {"port": port, "tokens_file": str(tokens)}
    return NodeSettings(
        data=data,
        listener=ListenerSettings(port=0, min_free_bytes=0),
        peers=(PeerSettings("CATHLAB", "127.0.0.1"), PeerSettings("CATHLAB2", "10.1.2.0/24")),
        destinations=(
            DestinationSettings("pacs", "pacs.example", 104, "PACS"),
            DestinationSettings("archive", "archive.example", 104, "ARCHIVE"),
        ),
        rules=(RuleSettings("keep-ct", calling_ae=("CT*",), convert=False), RuleSettings("all")),
        page=PageSettings(**own | page),
    )


@contextmanager
def looking(settings: NodeSettings, processes: tuple[str, ...] = PROCESSES) -> Iterator[Looking]:
    """Run it for the time of a block; whatever ends it early is raised here."""
    changes, layout = Changes(), Layout(settings.data)
    scheme = "https" if settings.page.tls_certificate else "http"

    def run(on_ready: Callable[[int], None], stop: threading.Event) -> None:
        run_page(settings, processes, on_ready, stop, changes)

    with service(run) as (port, _):
        ledger = Ledger(layout.ledger)
        try:
            yield Looking(f"{scheme}://127.0.0.1:{port}", port, layout, ledger, changes)
        finally:
            ledger.close()


@dataclass(frozen=True)
class Filled:
    """The jobs of a ledger with a bit of everything, by what became of them."""

    converting: str
    queued: str
    done: str
    dead: str
    failed: str
    quarantined: str


def fill(layout: Layout, ledger: Ledger) -> Filled:
    """Enter a bit of everything, as the processes of a node do."""
    made = Filled(
        converting=_job(ledger, "converting", "converting"),
        queued=_job(ledger, "queued"),
        done=_job(ledger, "done"),
        dead=_job(ledger, "dead"),
        failed=_job(ledger, "failed", "failed", "the disk stayed full"),
        quarantined=_job(ledger, "quarantined", "quarantined", "it killed the worker at generate 3/9"),
    )
    note = layout.work / "cpu" / made.converting
    note.parent.mkdir(parents=True)
    note.write_text("generate 12/96 of 1 runs", encoding="ascii")
    for name in ("done", "dead"):
        derived = Derived(uid(f"made {name}"), uid(f"derived {name}"), layout.outbox / name, "0" * 64, 9)
        Deliveries(ledger).put(getattr(made, name), [derived], ["pacs"], 30.0)
    Deliveries(ledger).attempted(Delivery(made.done, "pacs", 1), Attempt("sent", ""), 40.0)
    Deliveries(ledger).attempted(Delivery(made.dead, "pacs", 1), Attempt("dead", "refused: 0xA900"), 50.0)
    aside = layout.quarantine / "0123456789abcdef.dcm"
    Receipts(ledger, "w").quarantine(Refused(aside, "1.2.3", "no DICOM", "CATHLAB", "127.0.0.1"), 60.0)
    Rejections(ledger).add({"sender": 3}, 70.0)
    return made


def _job(ledger: Ledger, name: str, state: JobState | None = None, reason: str = "") -> str:
    """A job of one instance, that takes no more."""
    job = Receipts(ledger, "w").enter(received(name, series=f"run {name}", frames=9), 10.0).job
    for opened in JobList(ledger).receiving(1000.0):
        assert JobList(ledger).close(opened.job, opened.series, 20.0, "routine")
    if state is not None:
        JobList(ledger).enter(job, state, 25.0, [reason] if reason else [])
    return job


def fill_with_cine(folder: Path, site: Looking) -> str:
    """Enter a job whose run, and what the pipeline made of it, lie on the disk; its id."""
    exhibit = exhibit_in(folder)
    there = replace(received("cine", series="run cine", frames=12), path=exhibit.sources[0])
    job = Receipts(site.ledger, "w").enter(there, 80.0).job
    for opened in JobList(site.ledger).receiving(1000.0):
        assert JobList(site.ledger).close(opened.job, opened.series, 81.0, "routine")
    made = [Derived(uid(path.name), uid("derived cine"), path, "0" * 64, 12) for path in exhibit.derived]
    assert Deliveries(site.ledger).put(job, made, [], 82.0)
    return job
