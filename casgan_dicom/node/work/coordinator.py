"""Decides when a series is complete, and takes each job through its steps.

The loop looks at the ledger when its bell rings and when a series becomes complete: it closes the jobs whose
series is, and puts on its queue what has no workflow yet, also after a crash between the two. The parent
workflow of a job runs here; its children run where the device and the connections are.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic, time

from casgan_dicom.errors import SeriesError
from casgan_dicom.log import get_logger
from casgan_dicom.node.peers import peer_of
from casgan_dicom.node.settings import PRIORITIES, NodeSettings, PeerSettings, Priority, place_at
from casgan_dicom.node.share.absence import AwayError, Patience
from casgan_dicom.node.share.tenure import stand_by
from casgan_dicom.node.state import workflows
from casgan_dicom.node.state.audit import Audit, Transferred
from casgan_dicom.node.state.bells import COORDINATOR, Bell, ring
from casgan_dicom.node.state.books import open_ledger, workflow_place
from casgan_dicom.node.state.clock import SharedClock
from casgan_dicom.node.state.deliveries import Deliveries, Delivery, delivery_id, run_id
from casgan_dicom.node.state.hosts import Hosts, Lost, Seen
from casgan_dicom.node.state.jobs import Enqueuing, JobList, OpenJob, Place
from casgan_dicom.node.state.layout import Layout
from casgan_dicom.node.state.leases import COORDINATOR as LEASE
from casgan_dicom.node.state.ledger import Ledger
from casgan_dicom.node.state.transfers import received
from casgan_dicom.node.state.workflows import ANY
from casgan_dicom.node.work.assignment import ON_THE_WAY, Around, assign, sender_of
from casgan_dicom.node.work.cleaner import Cleaner
from casgan_dicom.node.work.completion import completion
from casgan_dicom.node.work.job_files import JobFiles, files_of
from casgan_dicom.node.work.reviewing import Reviewing

LOOK_SECONDS = 2.0
"""Longest time between two looks at the ledger: a ring may be lost, and a clock be set."""
REST_SECONDS = 0.1
"""Shortest time between two looks: while instances come in, the bell rings all the time."""
PARENTS = 4 * ON_THE_WAY * len(PRIORITIES)
"""Parents that may run for a device: so many that none waits, also while priorities change."""
FORGET_AFTER = timedelta(days=2)
"""How long the steps of workflows are kept that ended."""
FORGET_SECONDS = 3600.0
"""How often older ones are deleted."""
CLEAN_SECONDS = 60.0
"""How often it is looked whether files may be removed."""
PARENTS_OF_ALL = 1024
"""Parents that may run for the devices of all hosts together."""
LOOK_AROUND_SECONDS = 1.0
"""How often it is looked which hosts live."""
_IMPATIENT = Patience(trying=1.0)
"""How long the loop waits for a file of another host, of which it only looks at the header."""

log = get_logger("coordinator")


class Coordinator:
    """The decisions of a node.

    Parameters
    ----------
    settings
        Of the node.
    ledger
        Of the node.
    """

    def __init__(self, settings: NodeSettings, ledger: Ledger, files: JobFiles | None = None) -> None:
        self._settings = settings
        self._names = [destination.name for destination in settings.destinations]
        self._jobs = JobList(ledger)
        self._deliveries = Deliveries(ledger)
        self._hosts = Hosts(ledger)
        self._files = files
        own = tuple(Place("", device) for device in settings.worker.devices)
        self._around = Around(own, frozenset([""]))
        self._seen: list[Seen] = []
        self._ledger, self._layout = ledger, Layout(settings.data)
        self._audit = Audit(self._layout, settings.audit, settings.listener.ae_title)

    def reconcile(self, now: float) -> None:
        """Start again what no process would take up: before the first look.

        A device or a destination may have another name since, the program another version, and the database
        of workflows may be lost or that of another node.
        """
        live, served = workflows.live(), self._served()
        stray = [
            each for each in live if each.queue not in served or each.version != workflows.APPLICATION_VERSION
        ]
        workflows.cancel([each.workflow_id for each in stray])
        alive = {each.workflow_id for each in live} - {each.workflow_id for each in stray}
        for job in self._jobs.started():
            if _parent_id(job) not in alive:
                log.warning("job starts again, its workflow was lost", job=job.job)
                self._jobs.again(job.job, job.run, now)
        runs = {workflow_id.rpartition(".")[0] for workflow_id in alive}
        for delivery in self._deliveries.started():
            if run_id(delivery) not in runs:
                self._deliveries.again(delivery)

    def _served(self) -> set[str]:
        """Queues that somebody serves, or will when he is back."""
        if not self._settings.host.name:
            devices, senders = [*self._settings.worker.devices], [""]
            queues = set(map(workflows.series_queue, devices))
        else:
            hosts = [each.host for each in self._seen]
            devices = [place_at(host.name, device) for host in hosts for device in host.devices]
            senders = [each.name for each in hosts]
            queues = {workflows.series_queue(ANY)}
        queues |= set(map(workflows.convert_queue, devices))
        return queues | {workflows.send_queue(place_at(at, name)) for at in senders for name in self._names}

    def look_around(self) -> None:
        """See which hosts live, and take its work from one that does not."""
        self._seen = self._hosts.all()
        lost = Lost() if all(each.is_live for each in self._seen) else self._hosts.lose()
        for name in lost.hosts:
            log.error("host is gone, others do its work", host=name, jobs=len(lost.runs))
        # Their children never end: the parents that wait for them would wait for ever.
        workflows.cancel([_child_id(job, run) for job, run in lost.runs])
        live = [each.host for each in self._seen if each.is_live]
        self._around = Around(
            tuple(Place(host.name, device) for host in live for device in host.devices),
            frozenset(host.name for host in live),
            frozenset(each.host.name for each in self._seen if not each.is_live),
        )

    def look(self, now: float) -> float | None:
        """Close what is complete, and start what is closed.

        Returns when the next series will be complete if nothing else comes in; None if no series is open.
        """
        due = self.close(now)
        for job, place in self._next():
            device = place_at(place.host, place.device)
            queue = workflows.series_queue(ANY if place.host else device)
            workflows.enqueue(queue, "series", _parent_id(job), job.job, job.run, device)
            self._jobs.enqueued(job, place)
        waiting = self._deliveries.to_enqueue()
        if any(delivery.destination not in self._names for delivery in waiting):
            self._deliveries.strand(self._names, now)
        self._hand_over(waiting)
        return due

    def _next(self) -> list[tuple[Enqueuing, Place]]:
        """The jobs that are to be handed to devices now, the most urgent first."""
        waiting = self._jobs.to_enqueue()
        if not waiting:
            return []
        return assign(waiting, self._jobs.started(), self._around, self._jobs.sources())

    def _hand_over(self, waiting: Sequence[Delivery]) -> None:
        """Put deliveries on the queues of those who send them; what nobody can send now waits."""
        makers = self._deliveries.makers({delivery.job for delivery in waiting}) if waiting else {}
        for delivery in waiting:
            sender = sender_of(makers.get(delivery.job, ""), self._seen)
            if sender is not None and delivery.destination in self._names:
                _enqueue_delivery(delivery, sender)
                self._deliveries.enqueued(delivery, sender)

    def close(self, now: float) -> float | None:
        """Take no more instances for series that are complete; when the next will be, as far as is known."""
        due = [self._close_if_complete(open_job, now) for open_job in self._jobs.receiving(now)]
        return min((at for at in due if at is not None), default=None)

    def _close_if_complete(self, open_job: OpenJob, now: float) -> float | None:
        """Close a job, or return when its series will be complete; now, if an instance came in meanwhile."""
        peer = peer_of(self._settings, open_job.peer, open_job.address) or PeerSettings("")
        decided = completion(open_job.series, self._settings.completion, peer.quiet_seconds)
        if decided.at > now:
            return decided.at
        priority = self._priority(open_job.job, peer)
        if not self._jobs.close(open_job.job, open_job.series, now, priority):
            return now
        log.info(
            "series complete",
            job=open_job.job,
            rule=decided.reason,
            priority=priority,
            instances=open_job.series.instances,
            seconds=round(now - open_job.series.first_at, 3),
        )
        self._tell_received(open_job)
        return None

    def _tell_received(self, open_job: OpenJob) -> None:
        """Write into the audit trail what came in."""
        found = received(self._ledger, self._layout, open_job.job)
        identifier = ""
        if self._audit.names_patients:
            # Imported here: a coordinator that reads no headers need not hold what reads them.
            from casgan_dicom.node.work.patient_id import patient_id  # noqa: PLC0415

            identifier = patient_id(found.paths)
        self._audit.transferred(
            Transferred(
                is_received=True,
                other=open_job.peer,
                address=open_job.address,
                job=open_job.job,
                studies=found.studies,
                instances=len(found.paths),
                details={"Series": found.series_uid},
                patient_id=identifier,
            )
        )

    def _priority(self, job: str, peer: PeerSettings) -> Priority:
        """How urgent a job is, unless a person says something else."""
        said = self._by_rule(job), peer.priority
        for each in (each for word in said for each in PRIORITIES if word == each):
            return each
        return "batch" if self._jobs.frames(job) > self._settings.worker.batch_frames else "routine"

    def _by_rule(self, job: str) -> str:
        """The priority that a rule gives a job; empty if none does.

        Nobody has looked at its pixels yet: the first rule that holds by the headers counts, although the
        worker may find that it does not hold. Empty, too, where nothing can be read.
        """
        if not any(rule.priority for rule in self._settings.rules):
            return ""
        # Imported here: a coordinator that reads no headers need not hold what reads them.
        from casgan_dicom.node.work.deciding import decision_about  # noqa: PLC0415

        try:
            inputs = self._jobs.inputs(job)
            if self._files is not None:
                inputs = self._files.fetched(job, inputs).inputs
            decision = decision_about(self._settings, inputs, None)
        except (SeriesError, AwayError):
            return ""
        finally:
            if self._files is not None:
                self._files.drop(job)
        return "" if decision.rule is None else decision.rule.settings.priority

    def series(self, job: str, run: int, device: str) -> str:
        """The parent workflow of a job: convert, then have it delivered. Returns how the conversion ended."""
        state: str | None = workflows.result_of(
            workflows.convert_queue(device), "convert", _child_id(job, run), job, run
        )
        waiting = workflows.step("find deliveries", self._waiting, job)
        for destination, number, sender in waiting:
            # Not inside a step: DBOS takes children from the workflow itself only.
            _enqueue_delivery(Delivery(job, destination, number), sender)
        workflows.step("note deliveries", self._note, job, waiting)
        return state or "cancelled"

    def _waiting(self, job: str) -> list[tuple[str, int, str]]:
        """Destination, run and sender of each delivery of a job that has no workflow yet."""
        waiting = [each for each in self._deliveries.to_enqueue() if each.job == job]
        sender = sender_of(self._deliveries.makers([job]).get(job, ""), self._seen)
        if sender is None:
            return []
        return [(each.destination, each.run, sender) for each in waiting if each.destination in self._names]

    def _note(self, job: str, waiting: list[tuple[str, int, str]]) -> None:
        for destination, run, sender in waiting:
            self._deliveries.enqueued(Delivery(job, destination, run), sender)


def _parent_id(job: Enqueuing) -> str:
    return f"{job.job}.{job.run}"


def _child_id(job: str, run: int) -> str:
    return f"{job}.{run}.convert"


def _enqueue_delivery(delivery: Delivery, host: str) -> None:
    queue = workflows.send_queue(place_at(host, delivery.destination))
    name = delivery_id(delivery, 1)
    workflows.enqueue(queue, "deliver", name, delivery.job, delivery.destination, delivery.run)


def run_coordinator(settings: NodeSettings, on_ready: Callable[[], None], stop: threading.Event) -> None:
    """Decide until `stop` is set, then end at once. Calls `on_ready` once the queues are served.

    Among several hosts it is ready when it stands by, and decides when it has the lease.
    """
    layout = Layout(settings.data)
    ledger = open_ledger(settings)
    several, clock, files = bool(settings.host.name), time, None
    if several:
        on_ready()
        if stand_by(settings, ledger, LEASE, stop) is None:
            return
        clock = SharedClock(ledger)
        files = files_of(settings, ledger, _IMPATIENT)
    coordinator = Coordinator(settings, ledger, files)
    threading.Thread(target=_ring_at_end, args=[stop, layout.bells], daemon=True).start()
    served: dict[str, workflows.Workflow] = {"series": coordinator.series}
    with workflows.serving(workflow_place(settings), layout.bells, "coordinator", served, _queues(settings)):
        if several:
            coordinator.look_around()
        coordinator.reconcile(clock())
        if not several:
            on_ready()
        alone = None if several else (Cleaner(settings, ledger), Reviewing(settings, ledger))
        _decide(coordinator, alone, Bell(layout.bells, COORDINATOR), (clock, stop))
        os._exit(0)  # parents may wait for their children; they go on next time


def _queues(settings: NodeSettings) -> list[workflows.Queue]:
    if settings.host.name:
        return [workflows.Queue(workflows.series_queue(ANY), PARENTS_OF_ALL)]
    return [workflows.Queue(workflows.series_queue(device), PARENTS) for device in settings.worker.devices]


def _decide(
    coordinator: Coordinator,
    alone: tuple[Cleaner, Reviewing] | None,
    bell: Bell,
    process: tuple[Callable[[], float], threading.Event],
) -> None:
    """Look again and again until told to stop; without `alone` each host does the rest by itself."""
    clock, stop = process
    forget_at = clean_at = around_at = 0.0
    while not stop.is_set():
        if alone is None and monotonic() >= around_at:
            coordinator.look_around()
            around_at = monotonic() + LOOK_AROUND_SECONDS
        if alone is not None:
            alone[1].round(clock())
        due = coordinator.look(clock())
        if monotonic() >= forget_at:
            full = workflows.forget(datetime.now(UTC) - FORGET_AFTER) == workflows.FORGET_AT_ONCE
            forget_at = monotonic() + (0.0 if full else FORGET_SECONDS)
        if alone is not None and monotonic() >= clean_at:
            more = alone[0].round(clock())
            clean_at = monotonic() + (0.0 if more else CLEAN_SECONDS)
        stop.wait(REST_SECONDS)
        bell.wait(LOOK_SECONDS if due is None else min(due - clock(), LOOK_SECONDS))


def _ring_at_end(stop: threading.Event, bells: Path) -> None:
    """End the sleep of the loop when the process is to stop."""
    stop.wait()
    ring(bells, COORDINATOR)
