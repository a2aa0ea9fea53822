"""Brings derived objects to their destinations, one delivery at a time for each.

What is sent is the object in the outbox, with the values that were written. An attempt sends what the ledger
does not know as stored there; each answer is written down before the next request of its association, so a
crash repeats one request of each at most.
What an archive refuses for good becomes a dead letter at once; everything else is tried again until the time
for it is over, and meanwhile blocks no other destination.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from random import random
from time import sleep, time
from typing import Any
from urllib.parse import urlsplit

from casgan_dicom.disk import output_errors
from casgan_dicom.errors import CasganError, PeerError
from casgan_dicom.log import get_logger
from casgan_dicom.node.client.destination import destination_of
from casgan_dicom.node.client.places import peer_at, tls_at
from casgan_dicom.node.client.results import DUPLICATE, BusyError, StoreResult
from casgan_dicom.node.credentials import files_of_destinations
from casgan_dicom.node.destination_rules import retry_of
from casgan_dicom.node.hours import next_opening, open_seconds
from casgan_dicom.node.settings import DestinationSettings, NodeSettings, place_at
from casgan_dicom.node.share.absence import AwayError
from casgan_dicom.node.share.elsewhere import promises_of
from casgan_dicom.node.share.tenure import bind_to_host, stand_by
from casgan_dicom.node.state import workflows
from casgan_dicom.node.state.audit import Audit, Transferred
from casgan_dicom.node.state.bells import ring
from casgan_dicom.node.state.books import open_ledger, workflow_place
from casgan_dicom.node.state.commitments import Commitments, bell_of
from casgan_dicom.node.state.deliveries import Attempt, Deliveries, Delivery, delivery_id
from casgan_dicom.node.state.holdings import HeldFile
from casgan_dicom.node.state.layout import Layout
from casgan_dicom.node.state.leases import COMMITTING
from casgan_dicom.node.state.ledger import Ledger, LedgerError
from casgan_dicom.node.state.pauses import Pause, Pauses
from casgan_dicom.node.state.transfers import made
from casgan_dicom.node.work.committer import Committer
from casgan_dicom.node.work.job_files import JobFiles, files_of
from casgan_dicom.node.work.patient_id import patient_id
from casgan_dicom.node.work.reporter import Reporter
from casgan_dicom.node.work.retry import retry_wait
from casgan_dicom.node.work.withdrawal import notes

AT_HAND = 64
"""Deliveries that may wait here for their turn at one destination: so one begins when that before it ends."""
LOOK_SECONDS = 1.0
"""How often a delivery to a paused destination looks whether it may go on."""

LOOK_AGAIN_SECONDS = 3600.0
"""How often what waits for its hours looks at the clock: it may be set, and so may the hours."""

log = get_logger("sender")


class _Line:
    """One at a time, in the order in which they came."""

    def __init__(self) -> None:
        self._moved = threading.Condition()
        self._came = self._gone = 0

    def __enter__(self) -> None:
        with self._moved:
            mine, self._came = self._came, self._came + 1
            self._moved.wait_for(lambda: self._gone == mine)

    def __exit__(self, *_: object) -> None:
        with self._moved:
            self._gone += 1
            self._moved.notify_all()


class Sender:
    """The deliveries of a node.

    Parameters
    ----------
    settings
        Of the node.
    ledger
        Of the node.
    files
        Gets objects of other hosts; None where there are none.

    Raises
    ------
    ConfigError
        The files for TLS with a destination are no good.
    """

    def __init__(self, settings: NodeSettings, ledger: Ledger, files: JobFiles | None = None) -> None:
        self._settings = settings
        self._ledger = ledger
        self._files = files
        self._deliveries, self._commitments = Deliveries(ledger), Commitments(ledger)
        self._pauses = Pauses(ledger)
        self._audit = Audit(Layout(settings.data), settings.audit, settings.listener.ae_title)
        self._destinations = {each.name: each for each in settings.destinations}
        self._title, own = settings.listener.ae_title, files_of_destinations(settings)
        self._tls = {name: tls_at(each, own) for name, each in self._destinations.items()}
        self._stores = {
            name: destination_of(each, self._title, self._tls[name]).store
            for name, each in self._destinations.items()
        }
        self._lines = {name: _Line() for name in self._destinations}

    def deliver(self, job: str, destination: str, run: int, number: int = 1) -> str:
        """The workflow of one attempt; returns what it left the delivery in.

        The next attempt is a workflow of its own that comes back to the queue when its time has come: what
        one destination does not take now holds up nothing else that goes there.
        """
        attempt = workflows.step("send", self.attempt, job, destination, run)
        if attempt["state"] == "waiting":
            name = delivery_id(Delivery(job, destination, run), number + 1)
            again = [job, destination, run, number + 1]
            queue = workflows.send_queue(place_at(self._settings.host.name, destination))
            workflows.enqueue(queue, "deliver", name, *again, delay=attempt["wait_seconds"])
        elif self._files is not None:
            self._files.drop(job)
        return str(attempt["state"])

    def attempt(self, job: str, destination: str, run: int) -> dict[str, Any]:
        """Send once what is not stored there yet, and write down what came of it. Returns an `Attempt`."""
        with self._lines.get(destination, nullcontext()):
            while self._pauses.holds(Pause("send", destination)):  # what comes behind it waits, too
                sleep(LOOK_SECONDS)
            return self._attempt(Delivery(job, destination, run))

    def _attempt(self, delivery: Delivery) -> dict[str, Any]:
        if self._deliveries.is_over(delivery):
            return asdict(Attempt("cancelled", ""))
        known = self._destinations.get(delivery.destination)
        if known is None:
            attempt = Attempt("dead", f"destination '{delivery.destination}' is not configured any more")
        elif (opens := next_opening(known.hours, known.zone, now := time())) > now:
            return asdict(self._postponed(delivery, opens, now))
        else:
            attempt = self._to_commit(delivery, known, self._send(delivery, known))
        if known is not None and attempt.state != "waiting":
            self._tell_sent(delivery, known, attempt)
        self._deliveries.attempted(delivery, attempt, time())
        if attempt.state == "waiting" and self._deliveries.is_over(delivery):
            attempt = Attempt("cancelled", attempt.reason)
        if attempt.state == "committing":
            ring(Layout(self._settings.data).bells, bell_of(delivery.destination))
        log.info(
            "delivery attempted",
            job=delivery.job,
            destination=delivery.destination,
            state=attempt.state,
            reason=attempt.reason,
        )
        return asdict(attempt)

    def _tell_sent(self, delivery: Delivery, destination: DestinationSettings, attempt: Attempt) -> None:
        """Write into the audit trail what went there, or did not: before the ledger, to miss none."""
        found = made(self._ledger, Layout(self._settings.data), delivery.job)
        self._audit.transferred(
            Transferred(
                is_received=False,
                other=destination.ae_title or destination.name,
                address=destination.host or urlsplit(destination.url).hostname or "",
                job=delivery.job,
                studies=found.studies,
                instances=len(found.paths),
                details={"Series": found.series_uid, "Destination": destination.name},
                failure=attempt.reason if attempt.state == "dead" else "",
                patient_id=patient_id(found.paths) if self._audit.names_patients else "",
            )
        )

    def _to_commit(self, delivery: Delivery, destination: DestinationSettings, attempt: Attempt) -> Attempt:
        """What was stored is not sent yet where the destination has still to say that it keeps it."""
        if attempt.state != "sent" or not destination.commitment:
            return attempt
        lacks = self._commitments.lacks(delivery.job, delivery.destination)
        return Attempt("committing", attempt.reason) if lacks else attempt

    def start_committing(self, ledger: Ledger | None = None) -> None:
        """Ask destinations to keep what was stored there, and tell what we keep; in threads of their own.

        `ledger` is another one for that.
        """
        layout, now = Layout(self._settings.data), time()
        own = ledger or self._ledger
        commitments, promises = Commitments(own), promises_of(self._settings, own)
        asked = [each for each in self._settings.destinations if each.commitment]
        self._deliveries.strand([*self._destinations], now)
        if waived := commitments.waive([each.name for each in asked], now):
            log.warning("deliveries count as sent, nobody asks to commit any more", count=waived)
        for each in asked:
            peer = peer_at(each, self._title, self._tls[each.name])
            rules = retry_of(each, self._settings.retry)
            Committer(each, peer, rules, commitments, layout).start()
        Reporter(self._settings, promises).start()

    def _send(self, delivery: Delivery, destination: DestinationSettings) -> Attempt:
        attempt = self._store(delivery, destination, lambda: self._outstanding(delivery))
        if attempt.state != "sent" or not destination.withdraw:
            return attempt
        withdrawn = self._store(delivery, destination, lambda: self._notes(delivery, destination))
        return attempt if withdrawn.state == "sent" else withdrawn

    def _outstanding(self, delivery: Delivery) -> list[Path]:
        """Files of what is to be sent. Raises AwayError, GoneError, OutputError."""
        items = self._deliveries.outstanding(delivery.job, delivery.destination)
        if self._files is None:
            return [item.path for item in items]
        held = [
            HeldFile("object", item.host, item.sop_uid, item.sha256, item.path, delivery.job)
            for item in items
        ]
        with output_errors(Layout(self._settings.data).fetched):
            places = self._files.objects(delivery.job, held)
        return [places[item.sop_uid] for item in items]

    def _notes(self, delivery: Delivery, destination: DestinationSettings) -> list[Path]:
        """What withdraws there what is superseded now."""
        layout, title = Layout(self._settings.data), destination.withdraw_title
        return notes(self._ledger, layout, delivery.job, destination.name, title, self._find)

    def _find(self, held: HeldFile) -> Path:
        """Where an object is, that another host may have. Raises AwayError, GoneError, OutputError."""
        if self._files is None:
            return held.path
        with output_errors(Layout(self._settings.data).fetched):
            return self._files.objects(held.job, [held])[held.sop_uid]

    def _store(
        self, delivery: Delivery, destination: DestinationSettings, files: Callable[[], list[Path]]
    ) -> Attempt:
        """Store what `files` says is to be stored."""
        results: list[StoreResult] = []

        def on_result(result: StoreResult) -> None:
            results.append(result)
            stored_at = time() if result.is_stored else None
            self._deliveries.answered(
                result.sop_instance_uid, delivery.destination, result.status, stored_at=stored_at
            )
            log.info(
                "object answered",
                job=delivery.job,
                destination=delivery.destination,
                sop_instance_uid=result.sop_instance_uid,
                status=result.status,
            )

        try:
            self._stores[destination.name](files(), on_result)
        except PeerError as error:
            seconds = error.seconds if isinstance(error, BusyError) else 0.0
            reason = f"{error.message}; {error.hint}" if error.hint else error.message
            return self._again(delivery, destination, reason, seconds)
        except AwayError as error:  # who has the objects
            return self._again(delivery, destination, error.message)
        except CasganError as error:  # the file itself: trying again would not change it
            return Attempt("dead", error.message)
        except LedgerError:  # what the archive answered cannot be written down: start again
            raise
        except Exception as error:  # a bug must not stop the queue; its text may quote a header
            log.exception("delivery failed", error=error, job=delivery.job)
            return Attempt("dead", f"unexpected {type(error).__name__}, see the log")
        return self._judged(delivery, destination, results)

    def _judged(
        self, delivery: Delivery, destination: DestinationSettings, results: Sequence[StoreResult]
    ) -> Attempt:
        """What an attempt came to in which everything was sent."""
        refused = [result.reason for result in results if result.outcome == "refused"]
        if refused:
            return Attempt("dead", refused[0])
        later = [result.reason for result in results if not result.is_stored]
        if later:
            return self._again(delivery, destination, later[0])
        said = [result.reason for result in results if result.status == DUPLICATE]
        return Attempt("sent", said[0] if said else "")

    def _again(
        self, delivery: Delivery, destination: DestinationSettings, reason: str, busy_seconds: float = 0.0
    ) -> Attempt:
        """When to try again, not before `busy_seconds` are over; a dead letter if the time is over.

        The time for it is that at which the destination may be sent to.
        """
        attempts, first_at = self._deliveries.history(delivery.job, delivery.destination)
        now = time()
        elapsed = open_seconds(destination.hours, destination.zone, first_at or now, now)
        wait = retry_wait(attempts + 1, elapsed, retry_of(destination, self._settings.retry), random())
        if wait is None:
            return Attempt("dead", reason)
        return Attempt("waiting", reason, max(wait, busy_seconds))

    def _postponed(self, delivery: Delivery, opens: float, now: float) -> Attempt:
        """It is not the hour: that is no attempt."""
        reason = f"waits for its hours: {datetime.fromtimestamp(opens).astimezone():%Y-%m-%d %H:%M %z}"
        self._deliveries.postponed(delivery, reason, opens, now)
        log.info("delivery waits for its hours", job=delivery.job, destination=delivery.destination)
        return Attempt("waiting", reason, min(opens - now, LOOK_AGAIN_SECONDS))


def run_sender(settings: NodeSettings, on_ready: Callable[[], None], stop: threading.Event) -> None:
    """Deliver until `stop` is set, then end at once: what was not answered is sent again next time."""
    layout = Layout(settings.data)
    ledger, host = open_ledger(settings), settings.host.name
    if host and not bind_to_host(settings, ledger, stop):
        return
    sender = Sender(settings, ledger, files_of(settings, ledger))
    names = [place_at(host, each.name) for each in settings.destinations]
    queues = [workflows.Queue(workflows.send_queue(name), AT_HAND) for name in names]
    served: dict[str, workflows.Workflow] = {"deliver": sender.deliver}
    with workflows.serving(workflow_place(settings), layout.bells, place_at(host, "sender"), served, queues):
        if host:
            threading.Thread(target=_commit_in_turn, args=[sender, settings, stop], daemon=True).start()
        else:
            sender.start_committing()
        on_ready()
        stop.wait()
        os._exit(0)


def _commit_in_turn(sender: Sender, settings: NodeSettings, stop: threading.Event) -> None:
    """Let one host at a time ask for commitment, and tell what is kept."""
    # A ledger of its own is what is bound to that lease: deliveries go on without it.
    ledger = open_ledger(settings)
    if stand_by(settings, ledger, COMMITTING, stop) is not None:
        sender.start_committing(ledger)
