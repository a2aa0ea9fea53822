"""Fetches from archives at set intervals what they hold of the last days: a pull that nobody has to start.

Each pull asks anew and fetches what the ledger does not know, so nothing has to be remembered between two.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from time import monotonic

from casgan_dicom.errors import CasganError
from casgan_dicom.log import get_logger
from casgan_dicom.node.client.query import Wanted
from casgan_dicom.node.receive.pull import Pull
from casgan_dicom.node.settings import NodeSettings, PullSettings
from casgan_dicom.node.share.tenure import stand_by
from casgan_dicom.node.state.books import open_ledger
from casgan_dicom.node.state.leases import PULLER

log = get_logger("puller")


def wanted_of(pull: PullSettings, today: datetime) -> Wanted:
    """What a pull asks for on a day: the studies of that day and of `days` before."""
    first = today - timedelta(days=pull.days)
    return Wanted(dates=f"{first:%Y%m%d}-{today:%Y%m%d}", modalities=pull.modalities)


def run_puller(
    settings: NodeSettings, recipe: str, on_ready: Callable[[], None], stop: threading.Event
) -> None:
    """Pull when it is time, one after the other, until `stop` is set."""
    ledger = open_ledger(settings)
    try:
        archives = {each.name: Pull(settings, each, ledger, recipe) for each in settings.archives}
        due = {number: monotonic() for number in range(len(settings.pulls))}
        on_ready()
        if settings.host.name and stand_by(settings, ledger, PULLER, stop) is None:
            return
        while not stop.wait(max(0.0, min(due.values()) - monotonic())):
            number = min(due, key=due.__getitem__)
            one = settings.pulls[number]
            _pull(archives[one.archive], one, stop)
            due[number] = monotonic() + one.every_seconds
    finally:
        ledger.close()


def _pull(pull: Pull, settings: PullSettings, stop: threading.Event) -> None:
    """Pull once; what goes wrong is told, and tried again when the next is due."""
    told = log.bind(archive=settings.archive)
    try:
        found = pull.look(wanted_of(settings, datetime.now()))
        if found.missing and not stop.is_set():
            pull.fetch(found, lambda _so_far: None)
    except CasganError as error:
        told.exception("pull failed", error=error)
        return
    told.info("pull ended", held=found.held, known=found.known, fetched=found.fetched, left=found.left)
