"""Durable workflows: everything that we use of DBOS, and nothing of it anywhere else.

A workflow is a function whose finished steps are remembered in a database: killed at any point, it goes on
behind the last step that ended. Each workflow waits on a queue, and each process of the node listens to its
own queues under a fixed name, so that a restart takes up exactly what this process had begun:

    queue                 workflow     runs in
    series.<device>       series       coordinator    the parent: has it converted, then delivered
    convert.<device>      convert      worker         one series at a time for each device (``turns.py``)
    send.<destination>    deliver      sender         one attempt at a time for each destination

Where several hosts share a database, the queues and the names of processes of each have its name before that
of device, destination or role; the parents of all wait on ``series.any``.

A workflow is named by the caller and starts once, however often it is enqueued. Arguments and results are
JSON: ids, paths and digests, never pixels. The database is SQLite or PostgreSQL (``workflow_engine.py``).
Nothing is sent to anybody's service: DBOS's console ("conductor") and telemetry stay off.

DBOS (3.4) looks at its queues a few times a second. Here it sleeps until somebody rings the bell of a queue
(``bells.py``), and looks by itself only for what comes due without a ring: see `_Sleep`.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import sqlalchemy
from dbos import DBOS, DBOSConfig, DBOSPortableJSONSerializer, EnqueueOptions
from dbos import error as dbos_errors

from casgan_dicom.log import get_logger
from casgan_dicom.node.state.bells import Bell, ring
from casgan_dicom.node.state.postgres_place import Place, PostgresPlace
from casgan_dicom.node.state.workflow_engine import engine_of

APPLICATION_VERSION = "node-3"
"""DBOS resumes only workflows of its own version: this changes when the steps of a workflow do."""
LOOK_SECONDS = 2.0
"""How often a process looks at its queues though nobody rang: a delivery is tried again after a time."""
HOUSEKEEPING_SECONDS = 60.0
"""How often DBOS looks for new queues, and at its own, which nobody uses here."""
RESULT_SECONDS = 1.0
"""How often a parent looks whether its child has ended. What follows a conversion does not wait for that."""
WATCH_SECONDS = 30.0
"""How often it looks whether what should run does."""
FORGET_AT_ONCE = 1000
"""Workflows that are deleted in one transaction."""

log = get_logger("jobs")

Json = Any
Workflow = Callable[..., Json]


@dataclass(frozen=True)
class Queue:
    """A queue that a process listens to."""

    name: str
    """Its name."""
    at_once: int
    """Workflows that run at the same time in this process."""


@dataclass(frozen=True)
class Live:
    """A workflow that has not come to an end."""

    workflow_id: str
    """Its id."""
    queue: str
    """Where it waits, or came from."""
    version: str
    """Of the program that enqueued it."""


ANY = "any"
"""In place of a device: the parents of whatever host."""


def series_queue(device: str) -> str:
    """Name of the queue of the parents of what a device converts."""
    return f"series.{device}"


def convert_queue(device: str) -> str:
    """Name of the queue of a device."""
    return f"convert.{device}"


def send_queue(destination: str) -> str:
    """Name of the queue of a destination."""
    return f"send.{destination}"


@contextmanager
def serving(
    database: Place,
    bells: Path,
    role: str,
    workflows: Mapping[str, Workflow],
    queues: Sequence[Queue],
) -> Iterator[None]:
    """Run workflows from `queues` until the block ends, those first that `role` had begun before.

    Parameters
    ----------
    database
        That all processes of the node share: a file of SQLite, made if it is not there, or PostgreSQL.
    bells
        Folder of the bells of the node.
    role
        Fixed name of this process.
    workflows
        The functions, by the name that enqueues them.
    queues
        What to listen to.
    """
    engine = engine_of(database)
    dbos = DBOS(config=_config(database, engine, role))
    running: set[str] = set()
    for name, function in workflows.items():
        DBOS.workflow(name=name, max_recovery_attempts=None)(_or_die(_noted(function, running)))
    DBOS.listen_queues([queue.name for queue in queues])
    DBOS.launch()
    for queue in queues:
        DBOS.register_queue(
            queue.name,
            worker_concurrency=queue.at_once,
            polling_interval_sec=LOOK_SECONDS,
            on_conflict="always_update",
        )
    _serving.bells = bells
    _let_sleep(dbos, queues, bells)
    ended = threading.Event()
    threading.Thread(target=_watch, args=[role, running, ended], daemon=True).start()
    yield  # an exception is for the caller, who ends the process: `destroy` would wait for workflows
    ended.set()
    DBOS.destroy(destroy_registry=True)
    engine.dispose()


def _config(database: Place, engine: sqlalchemy.Engine, role: str) -> DBOSConfig:
    return DBOSConfig(
        name="casgan-dicom",
        system_database_engine=engine,
        dbos_system_schema=database.workflow_schema if isinstance(database, PostgresPlace) else None,
        application_version=APPLICATION_VERSION,
        executor_id=role,
        serializer=DBOSPortableJSONSerializer(),
        enable_otlp=False,
        log_level="WARNING",
        use_listen_notify=False,
        notification_listener_polling_interval_sec=HOUSEKEEPING_SECONDS,
    )


def enqueue(queue: str, workflow: str, workflow_id: str, *arguments: Json, delay: float = 0.0) -> None:
    """Put a workflow on a queue, after so many seconds, unless one of this id was there before."""
    _enqueue(queue, workflow, workflow_id, *arguments, delay=delay)


def result_of(queue: str, workflow: str, workflow_id: str, *arguments: Json) -> Json:
    """Put a child on a queue and wait for what it returns; None where somebody cancels it."""
    handle = _enqueue(queue, workflow, workflow_id, *arguments)
    try:
        return handle.get_result(polling_interval_sec=RESULT_SECONDS)
    except dbos_errors.DBOSAwaitedWorkflowCancelledError:
        return None


def step(name: str, function: Callable[..., Json], *arguments: Json) -> Json:
    """Run a step of the current workflow, or return what it returned before a crash.

    `function` may run again if the process dies before its result is written down: it must not mind. It
    enqueues nothing. It returns what went wrong; if it raises, the process ends and the step runs again.
    """
    return DBOS.run_step({"name": name}, _or_die(function), *arguments)


def pause(seconds: float) -> None:
    """Let the current workflow sleep; after a crash, for what is left."""
    DBOS.sleep(seconds)


def live() -> list[Live]:
    """Every workflow that waits or runs, in any process."""
    found = DBOS.list_workflows(
        status=["ENQUEUED", "DELAYED", "PENDING"], load_input=False, load_output=False
    )
    return [Live(each.workflow_id, each.queue_name or "", each.app_version or "") for each in found]


def cancel(workflow_ids: Sequence[str]) -> None:
    """Let workflows never run again."""
    if workflow_ids:
        DBOS.cancel_workflows(list(workflow_ids))


def forget(before: datetime) -> int:
    """Delete the steps of workflows that ended before then, some at a time; how many those were."""
    ended = DBOS.list_workflows(
        status=["SUCCESS", "CANCELLED"],
        completed_before=before.astimezone(UTC).isoformat(),
        limit=FORGET_AT_ONCE,
        load_input=False,
        load_output=False,
    )
    if ended:
        DBOS.delete_workflows([each.workflow_id for each in ended])
    return len(ended)


class _Serving:
    """What this process serves: there is one DBOS in a process."""

    bells: Path | None = None
    """Folder of the bells; None before anything is served."""


_serving = _Serving()


class _Sleep(threading.Event):
    """How DBOS's threads that look at queues sleep; an event of DBOS that stops them is made one of these.

    The thread of one of our queues wakes up when it is called, and after the time that it wanted. What others
    look for does not come here, so they sleep longer than they want to: new queues, schedules, and DBOS's own
    queue. Both begin as they are: what was enqueued while nobody served has to begin, and queues may be new.
    """

    changed: threading.Condition
    """Not that of the base: a thread that slept there already would take a call for the end."""
    called: dict[str, bool]
    """Whether a thread is to look at once, by its name: the threads of our queues."""
    served: set[str]
    """Those of them that have slept: that have begun."""
    others: set[str]
    """Names of other threads that have slept once."""

    def wait(self, timeout: float | None = None) -> bool:
        """Sleep; whether to stop."""
        name = threading.current_thread().name
        with self.changed:
            if name in self.called:
                self.served.add(name)
            elif _looks_around(name):
                begun = len(self.served) == len(self.called)  # not while the database cannot be reached
                timeout = HOUSEKEEPING_SECONDS if begun and name in self.others else timeout
                self.others.add(name)
            self.changed.wait_for(lambda: self.is_set() or self.called.get(name, False), timeout)
            if name in self.called:
                self.called[name] = False
        return self.is_set()

    def set(self) -> None:
        """Let all threads stop."""
        super().set()
        with self.changed:
            self.changed.notify_all()

    def call(self, name: str) -> None:
        """Let a thread look now, or when it next wants to sleep."""
        with self.changed:
            self.called[name] = True
            self.changed.notify_all()


def _looks_around(thread: str) -> bool:
    """Whether a thread of DBOS, by its name, looks for work again and again."""
    return thread.startswith("queue-worker-") or thread.endswith(
        ("(queue_thread)", "(dynamic_scheduler_loop)")
    )


def _let_sleep(dbos: DBOS, queues: Sequence[Queue], bells: Path) -> None:
    """Let DBOS look at queues when their bells ring."""
    threads = {queue.name: f"queue-worker-{queue.name}" for queue in queues}
    sleeps, served = [], set[str]()
    for stop in dbos.background_thread_stop_events:
        called = dict.fromkeys(threads.values(), True)
        vars(stop).update(changed=threading.Condition(), called=called, served=served, others=set())
        stop.__class__ = _Sleep
        sleeps.append(cast(_Sleep, stop))
    for name, thread in threads.items():
        arguments = [Bell(bells, name), sleeps, thread]
        threading.Thread(target=_call_by_bell, args=arguments, name=f"bell of {name}", daemon=True).start()


def _call_by_bell(bell: Bell, sleeps: Sequence[_Sleep], thread: str) -> None:
    while True:
        bell.wait()
        for sleep in sleeps:
            sleep.call(thread)


def _noted(workflow: Workflow, running: set[str]) -> Workflow:
    """A workflow whose id is in `running` while it runs."""

    def run(*arguments: Json) -> Json:
        name = DBOS.workflow_id or ""
        running.add(name)
        try:
            return workflow(*arguments)
        finally:
            running.discard(name)

    return run


def _watch(role: str, running: set[str], ended: threading.Event) -> None:
    """End the process if a workflow of it counts as running but does not: only a start takes it up again.

    That happens when DBOS cannot write an outcome, or cannot read at its start, as on a full disk.
    """
    suspects: set[str] = set()
    while not ended.wait(WATCH_SECONDS):
        try:
            found = DBOS.list_workflows(
                status="PENDING", executor_id=role, load_input=False, load_output=False
            )
        except Exception as error:  # the database, again: look later
            log.exception("workflows cannot be listed", error=error)
            continue
        lost = {each.workflow_id for each in found} - running
        if lost & suspects:
            log.error("workflows were lost, the process starts again", workflows=sorted(lost & suspects))
            os._exit(os.EX_SOFTWARE)
        suspects = lost


def _or_die(function: Callable[..., Json]) -> Callable[..., Json]:
    """`function`, but an exception ends the process.

    Steps and workflows of ours return what went wrong. An exception means that a database could not be
    written, or a bug; DBOS would write it down as the outcome for good. So the process dies, is started
    again, and goes on behind the last step that finished.
    """

    def run(*arguments: Json) -> Json:
        try:
            return function(*arguments)
        except Exception as error:
            log.exception("workflow interrupted, the process starts again", error=error)
            os._exit(os.EX_SOFTWARE)

    return run


def _enqueue(queue: str, workflow: str, workflow_id: str, *arguments: Json, delay: float = 0.0) -> Any:  # noqa: ANN401  # DBOS's handle
    options = EnqueueOptions(
        queue_name=queue,
        workflow_name=workflow,
        workflow_id=workflow_id,
        app_version=APPLICATION_VERSION,
    )
    if delay > 0:
        options["delay_seconds"] = delay
    handle = DBOS.enqueue_workflow_with_options(options, *arguments)
    if _serving.bells is not None:
        ring(_serving.bells, queue)
    return handle
