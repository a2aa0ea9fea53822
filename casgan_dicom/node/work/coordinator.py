"""Decides when a series is complete, and takes each job through its steps.

The loop looks at the ledger when its bell rings and when a series becomes complete: it closes the jobs whose
series is, and puts on its queue what has no workflow yet, also after a crash between the two. The parent
workflow of a job runs here; its children run where the device and the connections are.
"""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic, time
from zlib import crc32

from casgan_dicom.errors import SeriesError
from casgan_dicom.log import get_logger
from casgan_dicom.node.peers import peer_of
from casgan_dicom.node.settings import PRIORITIES, NodeSettings, PeerSettings, Priority
from casgan_dicom.node.state import workflows
from casgan_dicom.node.state.bells import COORDINATOR, Bell, ring
from casgan_dicom.node.state.books import open_ledger, workflow_place
from casgan_dicom.node.state.deliveries import Deliveries, Delivery, delivery_id, run_id
from casgan_dicom.node.state.jobs import Enqueuing, JobList, OpenJob
from casgan_dicom.node.state.layout import Layout
from casgan_dicom.node.state.ledger import Ledger
from casgan_dicom.node.work.cleaner import Cleaner
from casgan_dicom.node.work.completion import completion
from casgan_dicom.node.work.reviewing import Reviewing

LOOK_SECONDS = 2.0
"""Longest time between two looks at the ledger: a ring may be lost, and a clock be set."""
REST_SECONDS = 0.1
"""Shortest time between two looks: while instances come in, the bell rings all the time."""
ON_THE_WAY = 4
"""Jobs of one priority that are handed to a device at the same time; the others wait in the ledger."""
PARENTS = 4 * ON_THE_WAY * len(PRIORITIES)
"""Parents that may run for a device: so many that none waits, also while priorities change."""
FORGET_AFTER = timedelta(days=2)
"""How long the steps of workflows are kept that ended."""
FORGET_SECONDS = 3600.0
"""How often older ones are deleted."""
CLEAN_SECONDS = 60.0
"""How often it is looked whether files may be removed."""
_QUEUES_OF_A_DEVICE = (workflows.series_queue, workflows.convert_queue)

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

    def __init__(self, settings: NodeSettings, ledger: Ledger) -> None:
        self._settings = settings
        self._names = [destination.name for destination in settings.destinations]
        self._jobs = JobList(ledger)
        self._deliveries = Deliveries(ledger)

    def reconcile(self, now: float) -> None:
        """Start again what no process would take up: before the first look.

        A device or a destination may have another name since, the program another version, and the database
        of workflows may be lost or that of another node.
        """
        served = {name(device) for device in self._settings.worker.devices for name in _QUEUES_OF_A_DEVICE}
        served |= {workflows.send_queue(name) for name in self._names}
        live = workflows.live()
        stray = [
            each for each in live if each.queue not in served or each.version != workflows.APPLICATION_VERSION
        ]
        workflows.cancel([each.workflow_id for each in stray])
        alive = {each.workflow_id for each in live} - {each.workflow_id for each in stray}
        for job in self._jobs.started():
            if _parent_id(job) not in alive:
                log.warning("job starts again, its workflow was lost", job=job.job)
                self._jobs.again(job, now)
        runs = {workflow_id.rpartition(".")[0] for workflow_id in alive}
        for delivery in self._deliveries.started():
            if run_id(delivery) not in runs:
                self._deliveries.again(delivery)

    def look(self, now: float) -> float | None:
        """Close what is complete, and start what is closed.

        Returns when the next series will be complete if nothing else comes in; None if no series is open.
        """
        due = self.close(now)
        for job, device in self._next():
            workflows.enqueue(
                workflows.series_queue(device), "series", _parent_id(job), job.job, job.run, device
            )
            self._jobs.enqueued(job)
        waiting = self._deliveries.to_enqueue()
        if any(delivery.destination not in self._names for delivery in waiting):
            self._deliveries.strand(self._names, now)
        for delivery in waiting:
            if delivery.destination in self._names:
                _enqueue_delivery(delivery)
                self._deliveries.enqueued(delivery)
        return due

    def _next(self) -> list[tuple[Enqueuing, str]]:
        """The jobs that are to be handed to their devices now, the most urgent first.

        Few at a time, but some of each priority: so the order is that of the ledger, where a person can
        change it, and what is urgent waits behind no queue.
        """
        waiting = [(job, self._device(job.series_uid)) for job in self._jobs.to_enqueue()]
        if not waiting:
            return []
        handed = Counter((self._device(job.series_uid), job.priority) for job in self._jobs.started())
        chosen = []
        for job, device in waiting:
            handed[device, job.priority] += 1
            if handed[device, job.priority] <= ON_THE_WAY:
                chosen.append((job, device))
        return chosen

    def _device(self, series_uid: str) -> str:
        """The device of a series, the same for all of its revisions: they are converted in their order."""
        devices = self._settings.worker.devices
        return devices[crc32(series_uid.encode()) % len(devices)]

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
        return None

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
            decision = decision_about(self._settings, self._jobs.inputs(job), None)
        except SeriesError:
            return ""
        return "" if decision.rule is None else decision.rule.settings.priority

    def series(self, job: str, run: int, device: str) -> str:
        """The parent workflow of a job: convert, then have it delivered. Returns how the conversion ended."""
        state: str = workflows.result_of(
            workflows.convert_queue(device), "convert", f"{job}.{run}.convert", job, run
        )
        waiting = workflows.step("find deliveries", self._waiting, job)
        deliveries = [Delivery(job, destination, number) for destination, number in waiting]
        for delivery in deliveries:  # not inside a step: DBOS takes children from the workflow itself only
            _enqueue_delivery(delivery)
        workflows.step("note deliveries", self._note, job, waiting)
        return state

    def _waiting(self, job: str) -> list[tuple[str, int]]:
        """Destination and run of each delivery of a job that has no workflow yet."""
        waiting = [each for each in self._deliveries.to_enqueue() if each.job == job]
        return [(each.destination, each.run) for each in waiting if each.destination in self._names]

    def _note(self, job: str, waiting: list[tuple[str, int]]) -> None:
        for destination, run in waiting:
            self._deliveries.enqueued(Delivery(job, destination, run))


def _parent_id(job: Enqueuing) -> str:
    return f"{job.job}.{job.run}"


def _enqueue_delivery(delivery: Delivery) -> None:
    queue, name = workflows.send_queue(delivery.destination), delivery_id(delivery, 1)
    workflows.enqueue(queue, "deliver", name, delivery.job, delivery.destination, delivery.run)


def run_coordinator(settings: NodeSettings, on_ready: Callable[[], None], stop: threading.Event) -> None:
    """Decide until `stop` is set, then end at once. Calls `on_ready` once the queues are served."""
    layout = Layout(settings.data)
    ledger = open_ledger(settings)
    coordinator, cleaner = Coordinator(settings, ledger), Cleaner(settings, ledger)
    reviewing = Reviewing(settings, ledger)
    queues = [workflows.Queue(workflows.series_queue(device), PARENTS) for device in settings.worker.devices]
    bell = Bell(layout.bells, COORDINATOR)
    threading.Thread(target=_ring_at_end, args=[stop, layout.bells], daemon=True).start()
    served: dict[str, workflows.Workflow] = {"series": coordinator.series}
    with workflows.serving(workflow_place(settings), layout.bells, "coordinator", served, queues):
        coordinator.reconcile(time())
        on_ready()
        forget_at = clean_at = 0.0
        while not stop.is_set():
            reviewing.round(time())
            due = coordinator.look(time())
            if monotonic() >= forget_at:
                full = workflows.forget(datetime.now(UTC) - FORGET_AFTER) == workflows.FORGET_AT_ONCE
                forget_at = monotonic() + (0.0 if full else FORGET_SECONDS)
            if monotonic() >= clean_at:
                more = cleaner.round(time())
                clean_at = monotonic() + (0.0 if more else CLEAN_SECONDS)
            stop.wait(REST_SECONDS)
            bell.wait(LOOK_SECONDS if due is None else min(due - time(), LOOK_SECONDS))
        os._exit(0)  # parents may wait for their children; they go on next time


def _ring_at_end(stop: threading.Event, bells: Path) -> None:
    """End the sleep of the loop when the process is to stop."""
    stop.wait()
    ring(bells, COORDINATOR)
