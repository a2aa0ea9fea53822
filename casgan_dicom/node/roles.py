"""One process of the node, of those in ``process_names.py``: how it is told what to do.

    python -m casgan_dicom.node ROLE

    keeper, listener, coordinator, worker.<device>, sender, inbox, puller, web, page, courier

The supervisor (``service.py``) writes an `Order` to the standard input of the process and keeps that open:
when it ends, the supervisor is gone, and the process ends too. The process answers with one line of JSON on
its standard output: that it is ready, or what is wrong. Its log goes to standard error. A listener, a
worker and what listens for HTTP or browsers are told of other settings by further orders, and answer each;
the other roles are started anew.

An order is a pickle: it goes from a process to its own child, through a pipe that nobody else can write to.
"""

from __future__ import annotations

import json
import os
import pickle
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from types import FrameType
from typing import Any, BinaryIO, TextIO

from casgan_dicom.errors import CasganError
from casgan_dicom.log import configure, get_logger
from casgan_dicom.node.changes import Changes
from casgan_dicom.node.process_names import roles
from casgan_dicom.node.settings import NodeSettings
from casgan_dicom.node.state.private import UMASK

log = get_logger("roles")


@dataclass(frozen=True)
class Order:
    """What a process is told."""

    settings: NodeSettings
    """Of the node."""
    recipe: str
    """What decides a result besides the series: weights and options, see `receipts.job_id`."""


@dataclass(frozen=True)
class Started:
    """What a process answers, once: that it has started, or why it cannot."""

    port: int | None = None
    """Where the listener listens; None for other roles."""
    error: str = ""
    """What is wrong; empty if the process is ready."""
    hint: str = ""
    """What to try."""
    exit_code: int = 0
    """Of the error."""


def run_role(role: str) -> int:
    """Be one process of the node, until told to stop; the exit code."""
    stop = event_on(signal.SIGTERM)
    for number in (signal.SIGINT, signal.SIGHUP):  # reach all of a terminal: the supervisor decides then
        signal.signal(number, signal.SIG_IGN)
    os.umask(UMASK)
    configure()
    orders = os.fdopen(os.dup(0), "rb")  # not through sys.stdin: its lock would be held at the end
    order, changes = pickle.load(orders), Changes()
    answering = os.fdopen(os.dup(1), "w")
    hearing = threading.Thread(target=_hear, args=[orders, changes, answering, stop], daemon=True)
    hearing.start()
    os.dup2(2, 1)  # a library that prints shall not speak into our answer
    try:
        _run(_Part(role, order, changes), stop, answering)
    except CasganError as error:
        _tell(answering, Started(error=error.message, hint=error.hint, exit_code=error.exit_code))
        return error.exit_code
    except Exception as error:
        log.exception("process ends, to be started again", error=error, role=role)
        return os.EX_SOFTWARE
    return 0


@dataclass(frozen=True)
class _Part:
    """What this process is to do."""

    role: str
    order: Order
    changes: Changes


def _run(part: _Part, stop: threading.Event, answering: TextIO) -> None:
    """Import what the role needs, and no more: only a worker may load torch."""
    kind, _, device = part.role.partition(".")
    order, changes = part.order, part.changes

    def ready(port: int | None = None) -> None:
        _tell(answering, Started(port))

    if kind == "listener":
        from casgan_dicom.node.receive.listener import run_listener  # noqa: PLC0415

        run_listener(order.settings, order.recipe, ready, stop, changes=changes)
    elif kind == "coordinator":
        from casgan_dicom.node.work.coordinator import run_coordinator  # noqa: PLC0415

        run_coordinator(order.settings, ready, stop)
    elif kind == "worker":
        from casgan_dicom.node.work.worker import run_worker  # noqa: PLC0415

        run_worker(order.settings, device, ready, stop, changes)
    elif kind == "sender":
        from casgan_dicom.node.work.sender import run_sender  # noqa: PLC0415

        run_sender(order.settings, ready, stop)
    elif kind == "courier":
        from casgan_dicom.node.work.courier import run_courier  # noqa: PLC0415

        run_courier(order.settings, ready, stop)
    elif kind == "page":
        from casgan_dicom.node.web.server import run_page  # noqa: PLC0415

        run_page(order.settings, roles(order.settings), ready, stop, changes)
    elif kind == "keeper":
        from casgan_dicom.node.work.keeper import run_keeper  # noqa: PLC0415

        run_keeper(order.settings, ready, stop)
    else:
        _run_intake(part, ready, stop)


def _run_intake(part: _Part, ready: Callable[..., None], stop: threading.Event) -> None:
    """Be one of those that take instances otherwise than by DICOM: these are only there if configured."""
    order = part.order
    if part.role == "inbox":
        from casgan_dicom.node.receive.inbox import run_inboxes  # noqa: PLC0415

        run_inboxes(order.settings, order.recipe, ready, stop)
    elif part.role == "web":
        from casgan_dicom.node.receive.web import run_web  # noqa: PLC0415

        run_web(order.settings, order.recipe, ready, stop, part.changes)
    else:
        from casgan_dicom.node.receive.puller import run_puller  # noqa: PLC0415

        run_puller(order.settings, order.recipe, ready, stop)


def event_on(*numbers: signal.Signals) -> threading.Event:
    """An event that these signals set."""
    told = threading.Event()

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        # Not set here: the handler runs inside the main thread, which may hold the lock of the event.
        threading.Thread(target=told.set).start()

    for number in numbers:
        signal.signal(number, on_signal)
    return told


def _hear(orders: BinaryIO, changes: Changes, answering: TextIO, stop: threading.Event) -> None:
    """Take further orders until the supervisor is gone; it may be killed in the middle of one."""
    with suppress(EOFError, pickle.UnpicklingError):
        while True:
            order = pickle.load(orders)
            changes.tell(order.settings, order.recipe)
            log.info("new settings in force")
            _tell(answering, Started())
    stop.set()


def _tell(answering: TextIO, started: Started) -> None:
    answering.write(json.dumps(vars(started)) + "\n")
    answering.flush()


def parse_started(line: bytes) -> Started:
    """Read what a process answered. Raises ValueError if that is no answer."""
    fields: Any = json.loads(line)
    try:
        return Started(**fields)
    except TypeError as error:
        raise ValueError("no answer") from error
