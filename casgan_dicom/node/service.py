"""The supervisor: starts every process of the node, starts again what dies, stops all of them together.

Nothing of value is in its memory, nor in that of its children: each of them may be killed at any time, and
goes on from the disk. A process that dies is started again after a moment, longer each time it dies young.
"""

from __future__ import annotations

import fcntl
import os
import pickle
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from time import monotonic, sleep, time

from casgan_dicom.errors import CasganError, ConfigError
from casgan_dicom.log import get_logger
from casgan_dicom.node.credentials import check_files
from casgan_dicom.node.process_names import roles
from casgan_dicom.node.reloading import processes_to_restart, refuse_restart
from casgan_dicom.node.roles import Order, Started, parse_started
from casgan_dicom.node.service_manager import ServiceManager
from casgan_dicom.node.settings import NodeSettings
from casgan_dicom.node.share.membership import Membership
from casgan_dicom.node.state.audit import Audit
from casgan_dicom.node.state.audit_key import chain_key
from casgan_dicom.node.state.books import bind_to_books, files_of_books, open_ledger
from casgan_dicom.node.state.layout import Layout
from casgan_dicom.node.state.ledger import Ledger, LedgerError
from casgan_dicom.node.state.private import make_private, private_file
from casgan_dicom.node.state.processes import Processes
from casgan_dicom.node.state.supervisor import put_answer
from casgan_dicom.node.work.recipe import recipe_of_node

STOP_SECONDS = 10.0
"""How long processes may take to stop before they are killed."""
LOCK_SECONDS = 2.0
"""How long to wait for the data folder."""
TELL_SECONDS = 10.0
"""How long a process may take to answer that it has taken other settings."""
WATCH_SECONDS = 0.1
"""Between two looks at the processes."""

log = get_logger("service")


class StartError(CasganError):
    """A process of the node could not start; its own message and exit code."""

    def __init__(self, started: Started) -> None:
        super().__init__(started.error, hint=started.hint)
        self.exit_code = started.exit_code  # type: ignore[misc]  # that of the process's own error


@dataclass(frozen=True)
class Ready:
    """A node that runs."""

    port: int
    """Where it listens."""
    pids: Mapping[str, int]
    """Its processes, by role; a process that is started again gets another."""


@dataclass(frozen=True)
class Reload:
    """How a node is told to read its settings again."""

    asked: threading.Event
    """Set by whoever asks."""
    read: Callable[[], NodeSettings]
    """Reads and checks them; raises ConfigError."""
    on_terminal: bool = field(default_factory=lambda: os.isatty(2))
    """Whether the node was started on a terminal."""

    @property
    def hung_up(self) -> bool:
        """Whether the terminal is gone: that sends the same signal, and ends a node."""
        return self.on_terminal and not os.isatty(2)


class _Child:
    """One process, and its successors."""

    def __init__(self, role: str, order: Order) -> None:
        self.role = role
        self.order = order
        """Its own, and that of its successors."""
        self.is_ready = False
        self._deaths = 0
        self._start_at = 0.0
        self._started_at = 0.0
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the process and hand it its order; its answer is still to be read."""
        self._started_at, self.is_ready = monotonic(), False
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "casgan_dicom.node", self.role],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self.tell()

    def tell(self) -> None:
        """Hand the process its order; its answer is still to be read."""
        assert self.process is not None
        assert self.process.stdin is not None
        with suppress(BrokenPipeError):  # it died at once; `started` or the next look says so
            pickle.dump(self.order, self.process.stdin)
            self.process.stdin.flush()

    def started(self, stop: threading.Event, seconds: float = float("inf")) -> Started:
        """Wait until the process answers, or `stop` is set, or the time is over.

        Raises StartError if it cannot start, or has died.
        """
        until = monotonic() + seconds
        assert self.process is not None
        assert self.process.stdout is not None
        while not select.select([self.process.stdout], [], [], WATCH_SECONDS)[0]:
            if stop.is_set() or monotonic() > until:
                return Started()
        line = self.process.stdout.readline()
        try:
            started = parse_started(line)
        except ValueError:
            code = self.process.wait()
            started = Started(error=f"{self.role} ended with code {code} before it was ready", exit_code=1)
        if started.error:
            raise StartError(started)
        self.is_ready = True
        return started

    @property
    def takes_changes(self) -> bool:
        """Whether the process takes other settings while it runs."""
        return self.role in ("listener", "web", "page") or self.role.startswith("worker.")

    def keep_alive(self, now: float, stop: threading.Event) -> bool:
        """Start the process again if it died and its time of waiting is over; whether it died just now."""
        assert self.process is not None
        code = self.process.poll()
        if code is None:
            return False
        if self._start_at <= self._started_at:
            restart = self.order.settings.restart
            young = now - self._started_at < restart.longest_seconds
            self._deaths = self._deaths + 1 if young else 1
            wait = min(restart.first_seconds * 2.0 ** min(self._deaths - 1, 60), restart.longest_seconds)
            self._start_at = now + wait
            log.error("process died", role=self.role, code=code, starts_again_in=wait)
            return True
        if now >= self._start_at:
            self._start_again(now, stop)
        return False

    def _start_again(self, now: float, stop: threading.Event) -> None:
        self.close()
        try:
            self.start()
        except OSError as error:  # no memory or no process to be had now
            self._started_at, self._start_at = now - 1, now + self.order.settings.restart.longest_seconds
            log.exception("process cannot be started now", error=error, role=self.role)
            return
        assert self.process is not None
        threading.Thread(target=self._read_late_answer, args=[self.process, stop], daemon=True).start()

    def _read_late_answer(self, process: subprocess.Popen[bytes], stop: threading.Event) -> None:
        """Log what a process says that was started again; it must not hold up the others."""
        try:
            self.started(stop)
        except StartError as error:
            log.error("process cannot start", role=self.role, reason=error.message)
        else:
            log.info("process started again", role=self.role, process=process.pid)

    def close(self) -> None:
        """Close our ends of its pipes: the end of its input tells it to stop."""
        if self.process is None:
            return
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                with suppress(BrokenPipeError):
                    pipe.close()


def run(
    settings: NodeSettings,
    on_ready: Callable[[Ready], None],
    stop: threading.Event,
    reload: Reload | None = None,
) -> None:
    """Run a node until `stop` is set.

    Parameters
    ----------
    settings
        Of the node.
    on_ready
        Called once, when every process is ready and the listener listens.
    stop
        Ends the node: processes are told to stop, and killed after `STOP_SECONDS`.
    reload
        Tells it to read its settings again; None for a node that never does.

    Raises
    ------
    ConfigError
        The data folder cannot be used, is open to everybody, or another node uses it; or a certificate or key
        is no good.
    WeightsError
        The bundle is not there.
    StartError
        A process cannot start, e.g. because the port is taken.
    """
    check_files(settings, time())
    chain_key(settings.audit)
    order = Order(settings, recipe_of_node(settings))
    layout, manager = Layout(settings.data), ServiceManager(os.environ)
    with _alone_in(settings):
        ledger = open_ledger(settings)  # made here, so that no process waits for another to make it
        membership = Membership(settings, ledger)
        register = _Register(ledger, settings.host.name)
        audit = Audit(layout, settings.audit, settings.listener.ae_title)
        register.note({}, anew=True)  # those of a node that was killed are gone
        audit.started()
        children = [_Child(role, order) for role in roles(settings)]
        try:
            for child in children:
                child.start()
            started = {child.role: child.started(stop) for child in children}
            register.note(_pids(children))
            ports = (each.port for role, each in started.items() if role == "listener")
            on_ready(Ready(next(ports, None) or 0, _pids(children)))
            manager.ready(monotonic())
            while not stop.wait(WATCH_SECONDS) and not (reload and reload.hung_up):
                if reload is not None and reload.asked.is_set():
                    reload.asked.clear()
                    manager.reloading(monotonic())
                    _take_again(children, reload, layout, stop)
                    manager.ready(monotonic())
                membership.renew(monotonic())
                died = [child.role for child in children if child.keep_alive(monotonic(), stop)]
                running = _pids(children)
                register.note(running, died)
                manager.looked([each.role for each in children if each.role not in running], monotonic())
        finally:
            manager.stopping()
            _stop_all(children)
            audit.stopped()
            membership.leave()
            register.note({})
            ledger.close()


def _take_again(children: Sequence[_Child], reload: Reload, layout: Layout, stop: threading.Event) -> None:
    """Take other settings, or keep those there are, and write down which and why."""
    reason = ""
    try:
        now, wanted = children[0].order.settings, reload.read()
        refuse_restart(now, wanted)
        check_files(wanted, time())
        order = Order(wanted, recipe_of_node(wanted))
    except CasganError as error:
        reason = error.message
        log.error("settings kept as they were", reason=reason)
    else:
        _give(children, order, processes_to_restart(now, wanted), stop)
        log.info("settings taken")
    try:
        put_answer(layout, reason)
    except OSError as error:
        log.exception("answer cannot be written", error=error)


def _give(children: Sequence[_Child], order: Order, anew: set[str], stop: threading.Event) -> None:
    """Give every process its new order: a listener and a worker are told, others begin anew where they must.

    What dies meanwhile, or does not get up, is started again later with that order.
    """
    for child in children:
        child.order = order
    told = [child for child in children if child.is_ready and child.takes_changes]
    for child in told:
        child.tell()
    replaced = [child for child in children if child.role in anew and child.is_ready]
    _stop_all(replaced)
    for child in replaced:
        child.start()
    for child in (*told, *replaced):
        try:
            child.started(stop, TELL_SECONDS if child in told else float("inf"))
        except StartError as error:
            log.error("process does not take its settings", role=child.role, reason=error.message)
    for child in children:
        if not child.is_ready and child.process is not None:
            child.process.kill()  # it began with the old order, and begins again


@contextmanager
def _alone_in(settings: NodeSettings) -> Iterator[None]:
    """Hold the data folder: two nodes in one would sweep each other's files."""
    layout = Layout(settings.data)
    try:
        make_private(layout.data)
        bind_to_books(settings)
        for database in files_of_books(settings):
            private_file(database)
        handle = os.open(layout.lock, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise ConfigError(
            f"data folder {layout.data}: cannot be written ({error.strerror})",
            hint="set `data` in the configuration, or CASGAN_NODE_DATA, to a folder that can",
        ) from error
    try:
        _lock(handle, layout)
        if layout.restoring.exists():
            raise ConfigError(
                f"data folder {layout.data}: a backup was not restored to its end",
                hint="say `casgan-dicom node restore` again",
            )
        os.ftruncate(handle, 0)
        os.pwrite(handle, str(os.getpid()).encode("ascii"), 0)
        yield
    finally:
        os.close(handle)


def _lock(handle: int, layout: Layout) -> None:
    """Lock the data folder; who looks whether it is locked holds it for a moment (``state/overview.py``)."""
    deadline = monotonic() + LOCK_SECONDS
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError as error:
            if monotonic() > deadline:
                raise ConfigError(
                    f"data folder {layout.data}: another node runs on it",
                    hint="stop that one, or give this one a data folder of its own",
                ) from error
            sleep(WATCH_SECONDS)


def _pids(children: Sequence[_Child]) -> dict[str, int]:
    """Processes that are alive, by role."""
    processes = {child.role: child.process for child in children}
    return {role: each.pid for role, each in processes.items() if each is not None and each.poll() is None}


class _Register:
    """The table of processes in the ledger, written when it changes."""

    def __init__(self, ledger: Ledger, host: str) -> None:
        self._processes = Processes(ledger, host)
        self._known: dict[str, int] = {}
        self._again_at = 0.0

    def note(self, pids: dict[str, int], died: Sequence[str] = (), *, anew: bool = False) -> None:
        """Write down who runs now and who died, where that has changed; `anew` in any case."""
        is_known = pids == self._known and not died
        if (is_known or monotonic() < self._again_at) and not anew:
            return
        try:
            self._processes.note(pids, time())
            self._processes.died(died, time())
        except LedgerError as error:  # a full disk: the processes are more important than the list of them
            log.exception("list of processes cannot be written", error=error)
            self._again_at = monotonic() + LOCK_SECONDS
            return
        self._known = dict(pids)


def _stop_all(children: Sequence[_Child]) -> None:
    """Tell every process to stop, the listener first; kill what does not."""
    alive = [child.process for child in reversed(children) if child.process is not None]
    for process in alive:
        process.send_signal(signal.SIGTERM)
    deadline = monotonic() + STOP_SECONDS
    for process in alive:
        try:
            process.wait(max(0.0, deadline - monotonic()))
        except subprocess.TimeoutExpired:
            log.warning("process killed, it did not stop", process=process.pid)
            process.kill()
            process.wait()
    for child in children:
        child.close()
