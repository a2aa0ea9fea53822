"""Converts one series at a time on one device, the most urgent first, with the pipeline of the command.

At the border of a batch of frames a conversion gives way to a more urgent one, and goes on behind it; and it
ends there if a person has cancelled its job.

A crash of the process takes the series with it, whatever it was: a driver, memory, a decoder. So the worker
writes down which frame it is at before it goes on; when it starts again and finds such a note, the process
died there. A series that kills it again and again at the same place is quarantined, and the queue goes on. A
note is a file that is overwritten in place: it has to survive the death of the process, not of the machine.

What is half made is removed before the next attempt. The network is never touched here.
"""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from time import time
from typing import TYPE_CHECKING, Any

from casgan_dicom.conversion.pipeline import convert_series
from casgan_dicom.conversion.reference_choice import ReferenceChoice
from casgan_dicom.conversion.task import Progress, Step
from casgan_dicom.derived.provenance import Superseded
from casgan_dicom.disk import sync_folder
from casgan_dicom.errors import CasganError, OutputError, WeightsError
from casgan_dicom.log import get_logger
from casgan_dicom.memory import give_back_memory
from casgan_dicom.node.changes import Changes
from casgan_dicom.node.settings import NodeSettings, place_at
from casgan_dicom.node.share.absence import AwayError
from casgan_dicom.node.share.tenure import bind_to_host
from casgan_dicom.node.state import workflows
from casgan_dicom.node.state.bells import COORDINATOR, ring
from casgan_dicom.node.state.books import open_ledger, workflow_place
from casgan_dicom.node.state.deliveries import Deliveries
from casgan_dicom.node.state.job_inputs import Inputs
from casgan_dicom.node.state.jobs import JobList
from casgan_dicom.node.state.layout import Layout
from casgan_dicom.node.state.ledger import Ledger, LedgerError
from casgan_dicom.node.state.measurements import Measured, Measurements
from casgan_dicom.node.state.pauses import Pause, Pauses
from casgan_dicom.node.work.bundles import Bundles
from casgan_dicom.node.work.deciding import Decided, decided_about
from casgan_dicom.node.work.facts import Pixels, pixels_of
from casgan_dicom.node.work.inputs import gone, nothing_new, part_of_promised, without_repeats
from casgan_dicom.node.work.job_files import Fetched, JobFiles, files_of
from casgan_dicom.node.work.outcomes import derived_in, derived_of, lent_by, measured_in, reasons_of
from casgan_dicom.node.work.place_note import PAUSED, PlaceNote
from casgan_dicom.node.work.recipe import recipe_of
from casgan_dicom.node.work.routing import Becoming
from casgan_dicom.node.work.turns import Turn, Turns
from casgan_dicom.source.cine import Cine

if TYPE_CHECKING:
    from casgan_dicom.model.generator import Generator

WRITE_ATTEMPTS = 12
"""How often a conversion is tried whose output cannot be written."""
WRITE_WAIT_SECONDS = 10.0
"""Between two of them, doubling up to ten minutes."""

AT_HAND = 64
"""Jobs that may wait here for their turn: more than the coordinator hands over."""
AWAY = "away"
"""Outcome of a run whose files are on a host that cannot be reached: the job is queued again."""


log = get_logger("worker")


class NotWantedError(Exception):
    """The job was cancelled, or started anew, while it was converted."""


@dataclass(frozen=True)
class _Run:
    """One run of a job, on its way."""

    job: str
    run: int
    place: PlaceNote
    turn: Turn
    settings: NodeSettings
    """Those in force when it began: a reload changes nothing of what is under way."""


class Worker:
    """The conversions of one device.

    Parameters
    ----------
    settings
        Of the node.
    ledger
        Of the node.
    load
        Gives who makes the frames, by the bundle that a rule or a person named, empty for that of the
        settings; asked in every conversion, so it should keep what it has loaded.
    notes
        Folder of the notes about where this worker is.
    files
        Gets files of other hosts; None where there are none.
    """

    def __init__(
        self,
        settings: NodeSettings,
        ledger: Ledger,
        load: Callable[[str], Generator],
        notes: Path,
        files: JobFiles | None = None,
    ) -> None:
        self.settings = settings
        """Of the node; a reload replaces them, for what begins after that."""
        self._layout = Layout(settings.data)
        self._notes = notes
        self._load = load
        self._files = files
        self._jobs = JobList(ledger)
        self._deliveries = Deliveries(ledger)
        self._measurements = Measurements(ledger)
        pauses, mine = Pauses(ledger), Pause("convert", notes.name)
        self._turns = Turns(self._jobs.ranks, lambda: pauses.holds(mine))

    def convert(self, job: str, run: int) -> str:
        """The workflow of a conversion; returns the state that it leaves the job in."""
        for attempt in range(WRITE_ATTEMPTS):
            if attempt:
                workflows.pause(min(WRITE_WAIT_SECONDS * 2 ** (attempt - 1), 600.0))
            outcome = workflows.step("convert", self.attempt, job, run)
            if outcome["state"] != "later":
                break
        else:
            outcome = {"state": "failed", "reasons": outcome["reasons"]}
        state: str = workflows.step("record", self.record, job, run, outcome)
        ring(self._layout.bells, COORDINATOR)
        return state

    def attempt(self, job: str, run: int) -> dict[str, Any]:
        """Convert a series once, when it is its turn. Returns state, reasons and the objects, as JSON."""
        try:
            self._fetched(job)  # while another has its turn
        except AwayError as error:
            return {"state": AWAY, "reasons": [error.message]}
        except OSError as error:
            log.exception("files cannot be fetched", error=error, job=job)
            return {"state": "later", "reasons": [f"files cannot be fetched ({error.strerror})"]}
        with self._turns.turn(job) as turn:
            here = _Run(job, run, PlaceNote(self._notes / job), turn, self.settings)
            try:
                return self._deaths(job, here.place) or self._attempt(here)
            except NotWantedError:
                return {"state": "cancelled", "reasons": []}
            except AwayError as error:
                return {"state": AWAY, "reasons": [error.message]}
            except CasganError as error:
                return {"state": "skipped", "reasons": [error.message]}

    def _attempt(self, here: _Run) -> dict[str, Any]:
        fetched = self._fetched(here.job)
        inputs = fetched.inputs
        self._begin(here, inputs)
        found = gone(inputs, fetched.faults)
        inputs = without_repeats(inputs)
        if found := found or nothing_new(inputs):
            return found
        here.place.note("start")
        outbox = self._layout.outbox / here.job
        shutil.rmtree(outbox, ignore_errors=True)
        try:
            decided = self._decided(here, inputs)
            if not decided.becomes.convert:
                return self._kept(here, decided)
            return self._converted(here, inputs, decided.becomes)
        except NotWantedError:
            if self._jobs.is_run(here.job, here.run):  # else the next run has begun, and removed it
                shutil.rmtree(outbox, ignore_errors=True)
            raise
        except OutputError as error:
            log.error("output cannot be written", job=here.job, reason=error.message)
            return {"state": "later", "reasons": [error.message]}
        except (CasganError, LedgerError):
            raise
        except Exception as error:  # a bug must not stop the queue; its text may quote a header
            log.exception("conversion failed", error=error, job=here.job)
            return {"state": "failed", "reasons": [f"unexpected {type(error).__name__}, see the log"]}
        finally:
            here.place.clear()

    def _fetched(self, job: str) -> Fetched:
        """What a job converts, with files that can be read here. Raises AwayError, OSError."""
        inputs = self._jobs.inputs(job)
        if self._files is None:
            return Fetched(inputs)
        fetched = self._files.fetched(job, inputs)
        if not fetched.faults:
            return fetched
        return self._files.fetched(job, self._jobs.inputs(job))  # another host may have taken it over

    def _begin(self, here: _Run, inputs: Inputs) -> None:
        """Enter that a run converts. Raises NotWantedError, or WeightsError where its bundle is another."""
        recipe = recipe_of(here.settings.worker, inputs.bundle)
        if inputs.bundle and recipe != inputs.recipe:
            raise WeightsError("the bundle holds other weights than when this was asked for: ask again")
        if not self._jobs.begin(here.job, here.run, recipe, time()):
            raise NotWantedError

    def _deaths(self, job: str, place: PlaceNote) -> dict[str, Any] | None:
        """Count a death that was left behind; the outcome if there were too many at one place."""
        left = place.left()
        if left is None:
            return None
        place.clear()
        deaths = self._jobs.died_at(job, left)
        log.warning("worker died in this series", job=job, place=left, deaths=deaths)
        if deaths < self.settings.worker.deaths:
            return None
        shutil.rmtree(self._layout.outbox / job, ignore_errors=True)
        return {
            "state": "quarantined",
            "reasons": [f"the worker died {deaths} times in a row at the same place ({left})"],
        }

    def _decided(self, here: _Run, inputs: Inputs) -> Decided:
        """Ask the rules, and enter what they say."""
        folder = self._layout.outbox / here.job

        def judge(cine: Cine, bundle: str) -> Pixels:
            return pixels_of(cine, self._load(bundle), folder, self._on_step(here))

        decided = decided_about(here.settings, inputs, judge)
        self._jobs.decided(here.job, here.run, decided.decision.name, decided.recipe)
        if here.settings.rules:
            log.info("rules asked", job=here.job, rule=decided.decision.name, convert=decided.becomes.convert)
        return decided

    def _kept(self, here: _Run, decided: Decided) -> dict[str, Any]:
        """The outcome of a job that is not converted."""
        shutil.rmtree(self._layout.outbox / here.job, ignore_errors=True)  # of frames that a rule looked at
        return {"state": "kept", "reasons": decided.why_kept}

    def _on_step(self, here: _Run) -> Progress:
        """What is done at each border of a batch of frames."""

        def on_step(step: Step) -> None:
            place = f"{step.stage} {step.done}/{step.frames} of {step.source_instance_uid}"
            self._turns.give_way(here.turn, lambda: here.place.note(f"{PAUSED} {place}"))
            if not self._jobs.wanted(here.job, here.run):
                raise NotWantedError
            here.place.note(place)

        return on_step

    def _converted(self, here: _Run, inputs: Inputs, becomes: Becoming) -> dict[str, Any]:
        job, settings, on_step = here.job, here.settings.worker, self._on_step(here)
        out, part = self._layout.outbox / job, part_of_promised(inputs)
        options = replace(
            becomes.form,
            revision=inputs.revision,
            supersedes=inputs.supersedes,
            superseded=tuple(Superseded(**asdict(made)) for made in inputs.superseded),
            part=part,
        )
        wanted = replace(options, reference=self._reference(here, becomes.mode))
        log.info("conversion starts", job=job, series_uid=inputs.series_uid, files=len(inputs.paths))

        def load() -> Generator:
            return self._load(becomes.bundle)

        report = convert_series(inputs.paths, load, wanted, out, progress=on_step)
        notes = [lent_by(output) for output in report.outputs if output.roadmap is not None]
        if not report.outputs and wanted.reference and settings.without_reference == "invent":
            why = [f"vessels invented instead: {reason}" for reason in reasons_of(report)]
            report = convert_series(inputs.paths, load, options, out, progress=on_step)
            notes = why if report.outputs else []
        for folder in (out, out.parent, out.parent.parent):  # made on the way
            sync_folder(folder)
        state = "delivering" if report.outputs else "skipped"
        reasons = [*notes, *reasons_of(report), *([part] if part else [])]
        log.info(
            "conversion ended",
            job=job,
            state=state,
            converted=len(report.outputs),
            skipped=len(report.skipped),
            frames=sum(output.frames for output in report.outputs),
            seconds=round(sum(output.seconds.total for output in report.outputs), 3),
        )
        return {
            "state": state,
            "reasons": list(dict.fromkeys(reasons)),
            "derived": derived_in(report),
            "destinations": list(becomes.destinations),
            "measured": [asdict(each) for each in measured_in(report)],
        }

    def _reference(self, here: _Run, mode: str) -> ReferenceChoice | None:
        """Where a run that lends its vessels is looked for; None where vessels are invented."""
        if mode != "reference":
            return None
        lenders = self._jobs.lenders(here.job, time() - here.settings.worker.reference_seconds)
        if self._files is not None:
            return ReferenceChoice(search=self._files.lenders(here.job, lenders))
        return ReferenceChoice(search=tuple(each.path for each in lenders if each.path.is_file()))

    def record(self, job: str, run: int, outcome: dict[str, Any]) -> str:
        """Write the outcome of a conversion into the ledger, unless the job was cancelled meanwhile."""
        state, now = outcome["state"], time()
        if self._files is not None:
            self._files.drop(job)
        if state == AWAY:
            log.warning("job waits for another host", job=job, reasons=outcome["reasons"])
            self._jobs.again(job, run, now)
            return "queued"
        if self._jobs.is_run(job, run):
            self._measurements.put(job, run, [Measured(**each) for each in outcome.get("measured", ())])
        if state == "cancelled" or not self._jobs.enter(job, state, now, outcome["reasons"], run=run):
            self._sweep(job)
            return "cancelled"
        if state == "delivering":
            host = self.settings.host.name
            derived = [replace(derived_of(item), host=host) for item in outcome["derived"]]
            every = [destination.name for destination in self.settings.destinations]
            names = outcome.get("destinations", every)  # an older program did not say
            if not self._deliveries.put(job, derived, names, now, run):
                self._sweep(job)
                return "cancelled"
        elif state not in ("done", "kept"):
            log.warning("nothing to deliver", job=job, state=state, reasons=outcome["reasons"])
        return str(state)

    def _sweep(self, job: str) -> None:
        """Remove what a run has made that was not the one to go on with, unless another has made it here."""
        host = self.settings.host.name
        if self._deliveries.makers([job]).get(job) != host and job not in self._jobs.at_work(host):
            shutil.rmtree(self._layout.outbox / job, ignore_errors=True)


def run_worker(
    settings: NodeSettings,
    device: str,
    on_ready: Callable[[], None],
    stop: threading.Event,
    changes: Changes,
) -> None:
    """Convert on `device` until `stop` is set, then end at once: the series in work starts again next time.

    Raises WeightsError or ConfigError if the bundle or the device is not there.
    """
    give_back_memory()
    bundles = Bundles(settings.worker, device)
    generator = bundles.load()  # what is wrong with it is said at the start, not with the first series
    log.info("generator loaded", model=generator.info.name, engine=generator.engine, device=generator.device)
    layout = Layout(settings.data)
    notes, ledger, host = layout.work / device, open_ledger(settings), settings.host.name
    if host and not bind_to_host(settings, ledger, stop):
        return
    files = files_of(settings, ledger)
    worker = Worker(settings, ledger, bundles.load, notes, files)

    def take(changed: NodeSettings, _recipe: str) -> None:
        worker.settings = changed

    changes.hear(take)
    queues = [workflows.Queue(workflows.convert_queue(place_at(host, device)), AT_HAND)]
    served: dict[str, workflows.Workflow] = {"convert": worker.convert}
    with workflows.serving(
        workflow_place(settings), layout.bells, place_at(host, f"worker.{device}"), served, queues
    ):
        on_ready()
        stop.wait()
        for note in notes.glob("*"):
            note.unlink()  # stopped, not died
        os._exit(0)
