"""A whole node for tests: the real supervisor with its real processes, on a free port."""

from __future__ import annotations

import re
import subprocess
import sysconfig
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from queue import Queue

from casgan_dicom.node.service import Ready, run
from casgan_dicom.node.settings import (
    CompletionSettings,
    DestinationSettings,
    ListenerSettings,
    NodeSettings,
    RestartSettings,
    RetrySettings,
    WorkerSettings,
)
from casgan_dicom.node.state.books import open_ledger
from casgan_dicom.node.state.layout import Layout
from casgan_dicom.node.state.ledger import Ledger
from casgan_dicom.node.state.overview import DeliveryRow, JobRow, Status, list_jobs, status
from tests.model.bundles import write_bundle
from tests.support import waiting
from tests.support.fake_pacs import FakePacs
from tests.support.orthanc import Orthanc

PROGRAM = Path(sysconfig.get_path("scripts")) / "casgan-dicom"
WAIT_SECONDS = 120.0
"""How long a test waits for what has to come; generous, for a busy machine."""


def destination(name: str, pacs: FakePacs | Orthanc) -> DestinationSettings:
    """A destination that is impatient, as tests are."""
    port, title = (pacs.dicom_port, pacs.aet) if isinstance(pacs, Orthanc) else (pacs.port, pacs.ae_title)
    return DestinationSettings(name, "127.0.0.1", port, title, connect_seconds=3, response_seconds=3)


def node_settings(folder: Path, *destinations: DestinationSettings) -> NodeSettings:
    """A node with a small bundle of random weights, which decides fast."""
    return NodeSettings(
        data=folder / "node",
        listener=ListenerSettings(port=0, min_free_bytes=0),
        completion=CompletionSettings(quiet_seconds=1.0, short_seconds=0.3),
        worker=WorkerSettings(bundle=str(bundle_in(folder)), devices=("cpu",), engine="torch"),
        retry=RetrySettings(first_seconds=0.2, longest_seconds=1.0, give_up_seconds=600),
        restart=RestartSettings(first_seconds=0.1, longest_seconds=0.2),
        destinations=destinations,
    )


def bundle_in(folder: Path) -> Path:
    """A small bundle, made once."""
    bundle = folder / "bundle"
    return bundle if bundle.exists() else write_bundle(bundle, attention_bias=-3)


@dataclass(frozen=True)
class Node:
    """A node that runs."""

    settings: NodeSettings
    ready: Ready
    ledger: Ledger
    """For looking only."""

    @property
    def port(self) -> int:
        """Where it listens."""
        return self.ready.port

    def status(self) -> Status:
        """What `node status` says."""
        return status(Layout(self.settings.data), self.ledger, self.settings.host.name)

    def pid(self, role: str) -> int:
        """The process that has a role now; waits while it is started again."""
        wait_for(lambda: role in self.status().processes, f"a running {role}")
        return self.status().processes[role]

    def jobs(self) -> list[JobRow]:
        """All jobs, in the order of their first instances."""
        work = Layout(self.settings.data).work
        return sorted(list_jobs(self.ledger, limit=100_000, work=work), key=lambda row: row.first_at)

    def wait_for_attempts(self, deliveries: int) -> list[DeliveryRow]:
        """Wait until so many deliveries were tried at least once."""

        def tried() -> list[DeliveryRow]:
            return [each for row in self.jobs() for each in row.deliveries if each.attempts]

        wait_for(lambda: len(tried()) >= deliveries, f"{deliveries} deliveries that were tried")
        return tried()

    def wait_until_settled(self, jobs: int, seconds: float = WAIT_SECONDS) -> list[JobRow]:
        """Wait until so many jobs have come to an end."""
        ended = ("done", "skipped", "kept", "quarantined", "failed", "undelivered", "cancelled")
        wait_for(
            lambda: sum(row.state in ended for row in self.jobs()) >= jobs,
            lambda: f"{jobs} jobs at their end; there are {[row.state for row in self.jobs()]}",
            seconds,
        )
        return self.jobs()


@contextmanager
def running_node(settings: NodeSettings) -> Iterator[Node]:
    """Run a node for the time of a block; whatever ends it early is raised here."""
    stop, told = threading.Event(), Queue[Ready | BaseException]()

    def serve() -> None:
        try:
            run(settings, told.put, stop)
        except BaseException as error:
            told.put(error)

    thread = threading.Thread(target=serve)
    thread.start()
    ready = told.get(timeout=WAIT_SECONDS)
    if isinstance(ready, BaseException):
        thread.join()
        raise ready
    ledger = open_ledger(settings)
    try:
        yield Node(replace(settings), ready, ledger)
    finally:
        ledger.close()
        stop.set()
        thread.join()
    if not told.empty() and isinstance(failed := told.get(), BaseException):
        raise failed


def config(folder: Path, pacs: FakePacs) -> Path:
    """A configuration for the program itself, with a destination called pacs and a peer called CATHLAB."""
    path = folder / "node.toml"
    path.write_text(
        f'data = "{folder}/node"\n[listener]\nport = 0\n[completion]\nshort_seconds = 0.3\n'
        f'[worker]\nbundle = "{bundle_in(folder)}"\nengine = "torch"\n'
        f'[[peers]]\nae_title = "CATHLAB"\n'
        f'[[destinations]]\nname = "pacs"\nhost = "127.0.0.1"\nport = {pacs.port}\n'
        f'ae_title = "{pacs.ae_title}"\n'
    )
    return path


@contextmanager
def program(config: Path, *before: str) -> Iterator[tuple[int, Path]]:
    """The program, run by `before`; its port and the file with everything that it says."""
    output = config.with_name("output.txt")
    with output.open("w") as file:
        command = [*before, str(PROGRAM), "node", "--config", str(config)]
        process = subprocess.Popen(command, stdout=file, stderr=file)
        try:
            wait_for(
                lambda: "stop:" in output.read_text() or process.poll() is not None,
                lambda: f"the node to listen: {output.read_text()}",
                2 * WAIT_SECONDS,
            )
            assert process.poll() is None, output.read_text()
            port = re.search(r"listens on 127\.0\.0\.1:(\d+)", output.read_text())
            assert port is not None
            yield int(port[1]), output
        finally:
            process.terminate()
            process.wait(WAIT_SECONDS)


def wait_for(
    condition: Callable[[], bool], what: str | Callable[[], str], seconds: float = WAIT_SECONDS
) -> None:
    """Look at a condition until it holds; AssertionError that says `what` did not come."""
    waiting.wait_for(condition, what, seconds)
