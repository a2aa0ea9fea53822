"""A port for HTTP, and a thread that writes down who was not let in at it."""

from __future__ import annotations

import errno
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from time import time

from casgan_dicom.errors import ConfigError
from casgan_dicom.node.addresses import as_address
from casgan_dicom.node.door.refusals import Refusals
from casgan_dicom.node.state.rejections import Rejections

_BACKLOG = 128
_COUNT_SECONDS = 2.0
"""Between two times that those are written down who were not let in."""


def listening_on(host: str, port: int, table: str) -> socket.socket:
    """Have a port; `table` of the settings names it. Raises ConfigError."""
    where = f"{host} port {port}"
    address = as_address(host)
    family = socket.AF_INET6 if address is not None and address.version == 6 else socket.AF_INET
    try:
        listening = socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise ConfigError(
                f"{table}: {where} is in use by another program",
                hint=f"stop that program, or set `port` in [{table}]"
                f" or CASGAN_NODE_{table.upper()}_PORT to another",
            ) from error
        raise ConfigError(
            f"{table}: cannot listen on {where} ({error.strerror or type(error).__name__})",
            hint=f"set `host` in [{table}] to an address of this machine, and `port` to one that you may use",
        ) from error
    listening.setblocking(False)
    return listening


@contextmanager
def counting(refusals: Refusals, rejections: Rejections) -> Iterator[None]:
    """Write down now and then who was not let in, in a thread: a ledger may make one wait."""
    over = threading.Event()

    def write() -> None:
        while not over.wait(_COUNT_SECONDS):
            refusals.write(rejections, time())

    thread = threading.Thread(target=write, name="count", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        refusals.write(rejections, time())
