"""Tells others: the audit trail goes to a syslog server, and what is wrong to people, each in its own thread.

Nobody waits for it. Whoever it talks to may hang: what is to be told stands on the disk.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from functools import partial
from time import monotonic

from casgan_dicom.log import get_logger
from casgan_dicom.node.settings import NodeSettings
from casgan_dicom.node.state.bells import AUDIT, ring
from casgan_dicom.node.state.layout import Layout
from casgan_dicom.node.work.audit_sender import send_trail
from casgan_dicom.node.work.notifier import tell

GRACE_SECONDS = 3.0
"""How long what is under way may take when the process is to stop; it is told again next time."""

log = get_logger("courier")


def run_courier(settings: NodeSettings, on_ready: Callable[[], None], stop: threading.Event) -> None:
    """Tell others until `stop` is set."""
    threads = []
    if settings.audit.host:
        threads.append(_thread("audit", partial(send_trail, settings, stop)))
    for target in settings.notifications:
        threads.append(_thread(f"tell.{target.name}", partial(tell, settings, target, stop)))
    on_ready()
    stop.wait()
    ring(Layout(settings.data).bells, AUDIT)
    until = monotonic() + GRACE_SECONDS
    for thread in threads:
        thread.join(max(0.0, until - monotonic()))


def _thread(name: str, run: Callable[[], None]) -> threading.Thread:
    """Start something that goes on from the disk whenever the process starts again."""

    def serve() -> None:
        try:
            run()
        except Exception as error:
            log.exception("courier interrupted, the process starts again", error=error)
            os._exit(os.EX_SOFTWARE)

    thread = threading.Thread(target=serve, name=name, daemon=True)
    thread.start()
    return thread
