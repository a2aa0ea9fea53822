"""Holding a lease for as long as a process lives, and what binds a process to the lease of its host."""

from __future__ import annotations

import os
import threading
from time import monotonic

from casgan_dicom.log import get_logger
from casgan_dicom.node.settings import NodeSettings
from casgan_dicom.node.state.layout import Layout
from casgan_dicom.node.state.leases import Lease, Leases, fence, lease_of_host
from casgan_dicom.node.state.ledger import Ledger, LedgerError

LOOK_SECONDS = 0.5
"""How often who stands by looks whether a lease is free."""
RENEWALS = 3
"""How often a lease is renewed in its time."""

log = get_logger("hosts")


def holder_of(settings: NodeSettings) -> str:
    """What leases call the holder of those of this host: its name, and what tells its data folder apart."""
    said = Layout(settings.data).identity.read_text(encoding="ascii")
    return f"{settings.host.name} {said.rpartition(' ')[2].strip()}"


def stand_by(settings: NodeSettings, ledger: Ledger, name: str, stop: threading.Event) -> Lease | None:
    """Wait until a lease is ours, and hold it from then on; None if `stop` is set before.

    What the process writes into `ledger` is bound to it. Where it is lost, the process ends.
    """
    leases, holder = Leases(ledger), holder_of(settings)
    told = False
    while not stop.is_set():
        try:
            lease = leases.take(name, holder, settings.host.lease_seconds)
        except LedgerError as error:
            log.exception("lease cannot be asked for now", error=error, lease=name)
            lease = None
        if lease is not None:
            log.info("lease taken", lease=name, token=lease.token)
            fence(ledger, lease)
            _Tenure(leases, lease, settings.host.lease_seconds).start()
            return lease
        if not told:
            log.info("standing by, another has the lease", lease=name)
            told = True
        stop.wait(LOOK_SECONDS)
    return None


def bind_to_host(settings: NodeSettings, ledger: Ledger, stop: threading.Event) -> bool:
    """Let a ledger take nothing of this process once this host has lost its lease; False if `stop` is set.

    Waits while this host has none: its keeper takes it again.
    """
    leases, name, holder = Leases(ledger), lease_of_host(settings.host.name), holder_of(settings)
    while not stop.is_set():
        lease = leases.find(name)
        if lease.holder == holder:
            fence(ledger, lease)
            return True
        stop.wait(LOOK_SECONDS)
    return False


class _Tenure(threading.Thread):
    """Renews a lease until it is lost, or the process ends."""

    def __init__(self, leases: Leases, lease: Lease, seconds: float) -> None:
        super().__init__(name=f"lease of {lease.name}", daemon=True)
        self._leases, self._lease, self._seconds = leases, lease, seconds

    def run(self) -> None:
        """Renew it."""
        nap, kept_at = threading.Event(), monotonic()
        while True:
            nap.wait(self._seconds / RENEWALS)
            asked_at = monotonic()
            try:
                kept = self._leases.renew(self._lease, self._seconds)
            except LedgerError as error:
                if monotonic() - kept_at < self._seconds:
                    log.exception("lease cannot be renewed now", error=error, lease=self._lease.name)
                    continue
                kept = None
            if kept is None:
                log.error("lease lost, the process starts again", lease=self._lease.name)
                os._exit(os.EX_TEMPFAIL)
            kept_at = asked_at
