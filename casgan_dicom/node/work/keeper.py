"""Keeps a host among those of its database: shows that it lives, gives its files, makes objects
of verdicts about what it has made, and removes what may go.

One on each host, whatever else it does. Where it is told that the host counted as gone meanwhile, it takes
its lease again; the processes that worked under the old one end at their next write, and start again.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from time import monotonic, time

from casgan_dicom.log import get_logger
from casgan_dicom.node.credentials import files_of_host
from casgan_dicom.node.door.complaints import Complaints
from casgan_dicom.node.door.connections import Connections
from casgan_dicom.node.door.http import Door, Patience
from casgan_dicom.node.door.port import counting, listening_on
from casgan_dicom.node.door.refusals import Refusals
from casgan_dicom.node.settings import NodeSettings
from casgan_dicom.node.share.membership import host_of
from casgan_dicom.node.share.service import FileService, file_app
from casgan_dicom.node.share.signature import Secret
from casgan_dicom.node.share.tenure import RENEWALS, holder_of
from casgan_dicom.node.state.audit import Audit
from casgan_dicom.node.state.books import open_ledger
from casgan_dicom.node.state.clock import SharedClock
from casgan_dicom.node.state.deliveries import Deliveries
from casgan_dicom.node.state.holdings import Holdings
from casgan_dicom.node.state.hosts import Hosts
from casgan_dicom.node.state.jobs import JobList
from casgan_dicom.node.state.layout import Layout
from casgan_dicom.node.state.leases import Leases, lease_of_host
from casgan_dicom.node.state.ledger import Ledger, LedgerError
from casgan_dicom.node.state.rejections import Rejections
from casgan_dicom.node.tls import Renewed, server_context
from casgan_dicom.node.work.cleaner import Cleaner
from casgan_dicom.node.work.reviewing import Reviewing

CLEAN_SECONDS = 60.0
"""How often it is looked whether files may be removed."""
LOOK_SECONDS = 2.0
"""How often it is looked for verdicts about what this host has made."""
REST_SECONDS = 600.0
"""How old a folder of fetched files is before it may go: somebody may only be looking into it."""
MOST_CONNECTIONS = 200
"""Of other hosts: each of their workers and senders has one for the time of a file."""

log = get_logger("hosts")


class Keeper:
    """The place of a host among the others.

    Parameters
    ----------
    settings
        Of the node.
    ledger
        Of the node.
    """

    def __init__(self, settings: NodeSettings, ledger: Ledger) -> None:
        self._settings, self._layout = settings, Layout(settings.data)
        self._hosts, self._leases = Hosts(ledger), Leases(ledger)
        self._jobs, self._deliveries = JobList(ledger), Deliveries(ledger)
        self._name, self._holder = lease_of_host(settings.host.name), holder_of(settings)

    def renew(self) -> None:
        """Show that the host lives; take its lease again where it was taken away. Raises LedgerError."""
        seconds = self._settings.host.lease_seconds
        found = self._leases.find(self._name)
        if found.holder == self._holder and self._leases.renew(found, seconds) is not None:
            self._hosts.seen(self._settings.host.name)
            return
        if self._leases.take(self._name, self._holder, seconds) is None:
            log.error("another host has our name, this one does nothing", host=self._settings.host.name)
            return
        log.warning("this host counted as gone, it comes back", host=self._settings.host.name)
        if all(each.host.name != self._settings.host.name for each in self._hosts.all()):
            self._hosts.enter(host_of(self._settings), self._holder)  # it was forgotten

    def sweep(self) -> int:
        """Delete what was fetched, and half made, for jobs that another host does now; how many folders.

        Raises LedgerError.
        """
        name, old = self._settings.host.name, time() - REST_SECONDS
        fetched = _older(self._layout.fetched, old) - self._jobs.at_work(name)
        made = _older(self._layout.outbox, old) - self._deliveries.kept_by(name)
        stale = [self._layout.fetched / job for job in fetched] + [self._layout.outbox / job for job in made]
        for folder in stale:
            shutil.rmtree(folder, ignore_errors=True)
        return len(stale)


def _older(folder: Path, than: float) -> set[str]:
    """Names of the folders in a folder that were last changed before a moment."""
    if not folder.is_dir():
        return set()
    return {each.name for each in folder.iterdir() if each.is_dir() and each.stat().st_mtime < than}


def run_keeper(settings: NodeSettings, on_ready: Callable[[], None], stop: threading.Event) -> None:
    """Keep the host until `stop` is set.

    Raises ConfigError where the port, the secret or the files of TLS are no good.
    """
    layout, ledger = Layout(settings.data), open_ledger(settings)
    try:
        keeper, cleaner = Keeper(settings, ledger), Cleaner(settings, ledger)
        tidying = [keeper, cleaner, Reviewing(settings, ledger), stop]
        threading.Thread(target=_keep, args=[keeper, settings, stop], name="keep", daemon=True).start()
        threading.Thread(target=_clean, args=tidying, name="clean", daemon=True).start()
        if settings.host.share_port:
            _share(settings, layout, ledger, (on_ready, stop))
        else:
            on_ready()
            stop.wait()
    finally:
        ledger.close()


def _keep(keeper: Keeper, settings: NodeSettings, stop: threading.Event) -> None:
    while not stop.is_set():
        try:
            keeper.renew()
        except LedgerError as error:
            log.exception("host cannot show that it lives", error=error)
        except Exception as error:  # a bug: the process starts again
            log.exception("keeper interrupted, the process starts again", error=error)
            os._exit(os.EX_SOFTWARE)
        stop.wait(settings.host.lease_seconds / RENEWALS)


def _clean(keeper: Keeper, cleaner: Cleaner, reviewing: Reviewing, stop: threading.Event) -> None:
    clean_at = 0.0
    while not stop.wait(LOOK_SECONDS):
        try:
            reviewing.round(time())
        except LedgerError as error:
            log.exception("verdicts cannot be looked at now", error=error)
        if monotonic() < clean_at:
            continue
        try:
            keeper.sweep()
            more = cleaner.round(time())
        except LedgerError as error:
            log.exception("nothing can be removed now", error=error)
            more = False
        clean_at = monotonic() + (0.0 if more else CLEAN_SECONDS)


def _share(
    settings: NodeSettings,
    layout: Layout,
    ledger: Ledger,
    process: tuple[Callable[[], None], threading.Event],
) -> None:
    """Give files until told to stop. Raises ConfigError."""
    host, (on_ready, stop) = settings.host, process
    audit = Audit(layout, settings.audit, settings.listener.ae_title)
    refusals = Refusals(
        Complaints(), lambda each: audit.rejected(each.ae_title, each.called, each.address, each.reason)
    )
    clock, holdings = SharedClock(ledger), Holdings(ledger)
    service = FileService(host.name, layout, holdings, Secret(Path(host.secret_file)), clock)
    files = files_of_host(host)
    tls = None if files is None else Renewed(files, partial(server_context, asks=False)).context
    connections = Connections(MOST_CONNECTIONS, MOST_CONNECTIONS)
    door = Door(file_app(service, refusals), connections, refusals, tls, Patience())
    with listening_on(host.share_host, host.share_port, "host") as listening:
        on_ready()
        log.info("giving files to other hosts", host=host.share_host, port=host.share_port, tls=bool(tls))
        with counting(refusals, Rejections(ledger)):
            asyncio.run(door.run(listening, stop.is_set))
