"""Tells who asked us what we keep (storage commitment) on an association of ours, until he has heard it.

That is for peers that did not wait for the report on their own association. Where they listen stands in their
table under `peers`: `report_host` and `report_port`. Who has none cannot be told.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from random import random
from time import monotonic, time

from casgan_dicom.errors import CasganError
from casgan_dicom.log import get_logger
from casgan_dicom.node.client.commitment import report
from casgan_dicom.node.client.peer import Peer
from casgan_dicom.node.commitment import SUCCESS
from casgan_dicom.node.peers import peer_of
from casgan_dicom.node.settings import NodeSettings
from casgan_dicom.node.state.bells import Bell
from casgan_dicom.node.state.layout import Layout
from casgan_dicom.node.state.ledger import LedgerError
from casgan_dicom.node.state.promises import REPORTS, Promise, Promises
from casgan_dicom.node.work.retry import retry_wait

LOOK_SECONDS = 2.0
"""Longest time between two looks at the ledger: a ring may be lost, and a clock be set."""
AT_ONCE = 4
"""Peers that are told at the same time."""
FORGET_AFTER_SECONDS = 14 * 86400.0
"""How long requests are remembered that were told about."""
FORGET_SECONDS = 86400.0
"""How often older ones are deleted."""

log = get_logger("sender")


class Reporter:
    """The reports of a node about what it keeps.

    Parameters
    ----------
    settings
        Of the node.
    promises
        Of the node's ledger.
    """

    def __init__(self, settings: NodeSettings, promises: Promises) -> None:
        self._settings = settings
        self._promises = promises

    def start(self) -> None:
        """Tell what is due from now on, in a thread."""
        threading.Thread(target=self._run, name=REPORTS, daemon=True).start()

    def _run(self) -> None:
        bell = Bell(Layout(self._settings.data).bells, REPORTS)
        forget_at = 0.0
        try:
            with ThreadPoolExecutor(AT_ONCE, "report") as pool:
                while True:
                    if monotonic() >= forget_at:
                        self._promises.forget(time() - FORGET_AFTER_SECONDS)
                        forget_at = monotonic() + FORGET_SECONDS
                    self.look(time(), pool)
                    at = self._promises.next_at()
                    bell.wait(LOOK_SECONDS if at is None else min(LOOK_SECONDS, at - time()))
        except Exception as error:  # what is due stands in the ledger: the process starts again
            log.exception("reports interrupted, the process starts again", error=error)
            os._exit(os.EX_SOFTWARE)

    def look(self, now: float, pool: ThreadPoolExecutor) -> None:
        """Tell what is due, each peer by itself: one that is gone holds up the others for a moment only."""
        by_peer: dict[str, list[Promise]] = {}
        for promise in self._promises.due(now):
            by_peer.setdefault(promise.peer, []).append(promise)
        for _ in pool.map(self._tell_all, by_peer.values()):
            pass

    def _tell_all(self, promises: Sequence[Promise]) -> None:
        """Tell one peer; after a failure, the rest waits as well."""
        trouble = ""
        for promise in promises:
            peer = self._peer(promise)
            if peer is None:
                self._give_up(promise, "it left before the report, and its table in peers has no report_host")
                continue
            trouble = trouble or self._tell(promise, peer)
            if trouble:
                self._later(promise, trouble)

    def _tell(self, promise: Promise, peer: Peer) -> str:
        """Tell a peer; what went wrong, empty if nothing did."""
        try:
            status = report(peer, self._promises.report(promise))
        except CasganError as error:
            return error.message
        except LedgerError:  # what is kept cannot be told: start again
            raise
        except Exception as error:  # a bug must not stop the others; its text may quote what came
            log.exception("report failed", error=error, ae_title=promise.peer)
            return f"unexpected {type(error).__name__}, see the log"
        if status != SUCCESS:
            return f"{peer} answered the report 0x{status:04X}"
        self._promises.told(promise, time())
        log.info("commitment told", ae_title=promise.peer, transaction_uid=promise.transaction_uid)
        return ""

    def _later(self, promise: Promise, reason: str) -> None:
        """Try again after a while; give up if the time is over."""
        now = time()
        wait = retry_wait(promise.attempts + 1, now - promise.asked_at, self._settings.retry, random())
        if wait is None:
            self._give_up(promise, reason)
        else:
            self._promises.wait(promise, reason, now + wait, now)

    def _give_up(self, promise: Promise, reason: str) -> None:
        self._promises.give_up(promise, reason, time())
        log.error(
            "commitment cannot be told",
            ae_title=promise.peer,
            transaction_uid=promise.transaction_uid,
            reason=reason,
        )

    def _peer(self, promise: Promise) -> Peer | None:
        """Where somebody listens for reports; None if that is not known."""
        known = peer_of(self._settings, promise.peer, promise.address)
        if known is None or not known.report_host:
            return None
        return Peer(known.report_host, known.report_port, known.ae_title, self._settings.listener.ae_title)
