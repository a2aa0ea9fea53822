"""Converts one series after the other on one device, with the pipeline that the command uses.

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
from functools import cache
from pathlib import Path
from time import time
from typing import Any

from casgan_dicom.conversion.options import ConvertOptions
from casgan_dicom.conversion.pipeline import Loader, convert_series
from casgan_dicom.conversion.reference_choice import ReferenceChoice
from casgan_dicom.conversion.report import ConvertReport, Output
from casgan_dicom.conversion.task import Step
from casgan_dicom.derived.provenance import Superseded
from casgan_dicom.disk import sync_folder
from casgan_dicom.errors import CasganError, OutputError
from casgan_dicom.log import get_logger
from casgan_dicom.node.settings import NodeSettings
from casgan_dicom.node.state import workflows
from casgan_dicom.node.state.deliveries import Deliveries, Derived
from casgan_dicom.node.state.jobs import Inputs, JobList
from casgan_dicom.node.state.layout import Layout
from casgan_dicom.node.state.ledger import Ledger
from casgan_dicom.node.work.inputs import gone, nothing_new, part_of_promised, without_repeats

WRITE_ATTEMPTS = 12
"""How often a conversion is tried whose output cannot be written."""
WRITE_WAIT_SECONDS = 10.0
"""Between two of them, doubling up to ten minutes."""

log = get_logger("worker")


@dataclass
class _Place:
    """The note about where the worker is."""

    path: Path

    def left(self) -> str | None:
        """What a process that died left; None if none did."""
        try:
            return self.path.read_text(encoding="ascii").strip() or None
        except FileNotFoundError:
            return None

    def note(self, place: str) -> None:
        """Write where we are, in place and padded, so that nothing of the note before stays."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(self.path, os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            os.pwrite(handle, place.ljust(128).encode("ascii"), 0)
        finally:
            os.close(handle)

    def clear(self) -> None:
        """Nothing is in work."""
        self.path.unlink(missing_ok=True)


class Worker:
    """The conversions of one device.

    Parameters
    ----------
    settings
        Of the node.
    ledger
        Of the node.
    load
        Gives who makes the frames; asked in every conversion, so it should keep what it has loaded.
    notes
        Folder of the notes about where this worker is.
    """

    def __init__(self, settings: NodeSettings, ledger: Ledger, load: Loader, notes: Path) -> None:
        self._settings = settings
        self._layout = Layout(settings.data)
        self._notes = notes
        self._load = load
        self._jobs = JobList(ledger)
        self._deliveries = Deliveries(ledger)

    def convert(self, job: str) -> str:
        """The workflow of a conversion; returns the state that it leaves the job in."""
        for attempt in range(WRITE_ATTEMPTS):
            if attempt:
                workflows.pause(min(WRITE_WAIT_SECONDS * 2 ** (attempt - 1), 600.0))
            outcome = workflows.step("convert", self.attempt, job)
            if outcome["state"] != "later":
                break
        else:
            outcome = {"state": "failed", "reasons": outcome["reasons"]}
        state: str = workflows.step("record", self.record, job, outcome)
        return state

    def attempt(self, job: str) -> dict[str, Any]:
        """Convert a series once. Returns state, reasons and the derived objects, as JSON."""
        place = _Place(self._notes / job)
        if died := self._deaths(job, place):
            return died
        self._jobs.enter(job, "converting", time())
        inputs = self._jobs.inputs(job)
        found = gone(inputs)
        inputs = without_repeats(inputs)
        if found := found or nothing_new(inputs):
            return found
        place.note("start")
        shutil.rmtree(self._layout.outbox / job, ignore_errors=True)
        try:
            return self._converted(job, inputs, place)
        except OutputError as error:
            log.error("output cannot be written", job=job, reason=error.message)
            return {"state": "later", "reasons": [error.message]}
        except CasganError as error:
            return {"state": "skipped", "reasons": [error.message]}
        except Exception as error:  # a bug must not stop the queue; its text may quote a header
            log.exception("conversion failed", error=error, job=job)
            return {"state": "failed", "reasons": [f"unexpected {type(error).__name__}, see the log"]}
        finally:
            place.clear()

    def _deaths(self, job: str, place: _Place) -> dict[str, Any] | None:
        """Count a death that was left behind; the outcome if there were too many at one place."""
        left = place.left()
        if left is None:
            return None
        place.clear()
        deaths = self._jobs.died_at(job, left)
        log.warning("worker died in this series", job=job, place=left, deaths=deaths)
        if deaths < self._settings.worker.deaths:
            return None
        shutil.rmtree(self._layout.outbox / job, ignore_errors=True)
        return {
            "state": "quarantined",
            "reasons": [f"the worker died {deaths} times in a row at the same place ({left})"],
        }

    def _converted(self, job: str, inputs: Inputs, place: _Place) -> dict[str, Any]:
        out, part = self._layout.outbox / job, part_of_promised(inputs)
        options = ConvertOptions(
            revision=inputs.revision,
            supersedes=inputs.supersedes,
            superseded=tuple(Superseded(**asdict(made)) for made in inputs.superseded),
            part=part,
        )
        wanted = replace(options, reference=self._reference(job))
        log.info("conversion starts", job=job, series_uid=inputs.series_uid, files=len(inputs.paths))

        def on_step(step: Step) -> None:
            place.note(f"{step.stage} {step.done}/{step.frames} of {step.source_instance_uid}")

        report = convert_series(inputs.paths, self._load, wanted, out, progress=on_step)
        notes = [_lent_by(output) for output in report.outputs if output.roadmap is not None]
        if not report.outputs and wanted.reference and self._settings.worker.without_reference == "invent":
            why = [f"vessels invented instead: {reason}" for reason in _reasons(report)]
            report = convert_series(inputs.paths, self._load, options, out, progress=on_step)
            notes = why if report.outputs else []
        for folder in (out, out.parent, out.parent.parent):  # made on the way
            sync_folder(folder)
        state = "delivering" if report.outputs else "skipped"
        reasons = [*notes, *_reasons(report), *([part] if part else [])]
        log.info(
            "conversion ended",
            job=job,
            state=state,
            converted=len(report.outputs),
            skipped=len(report.skipped),
            frames=sum(output.frames for output in report.outputs),
            seconds=round(sum(output.seconds.total for output in report.outputs), 3),
        )
        return {"state": state, "reasons": list(dict.fromkeys(reasons)), "derived": _derived(report)}

    def _reference(self, job: str) -> ReferenceChoice | None:
        """Where a run that lends its vessels is looked for; None where vessels are invented."""
        settings = self._settings.worker
        if settings.mode != "reference":
            return None
        lenders = self._jobs.lenders(job, time() - settings.reference_seconds)
        return ReferenceChoice(search=tuple(path for path in lenders if path.is_file()))

    def record(self, job: str, outcome: dict[str, Any]) -> str:
        """Write the outcome of a conversion into the ledger."""
        state, now = outcome["state"], time()
        self._jobs.enter(job, state, now, outcome["reasons"])
        if state == "delivering":
            derived = [_derived_of(item) for item in outcome["derived"]]
            names = [destination.name for destination in self._settings.destinations]
            self._deliveries.put(job, derived, names, now)
        elif state != "done":
            log.warning("nothing to deliver", job=job, state=state, reasons=outcome["reasons"])
        return str(state)


def _reasons(report: ConvertReport) -> list[str]:
    """Why cines were skipped."""
    return [reason for skipped in report.skipped for reason in skipped.reasons]


def _lent_by(output: Output) -> str:
    """Which run lent its vessels, for who looks at the jobs."""
    assert output.roadmap is not None
    return f"vessels of series {output.roadmap.series_uid}, {output.roadmap.when}"


def _derived(report: ConvertReport) -> list[dict[str, Any]]:
    """What a report says about derived objects, as JSON."""
    return [
        {
            "sop_uid": derived.sop_instance_uid,
            "series_uid": derived.series_uid,
            "path": str(derived.path),
            "sha256": derived.sha256,
            "frames": derived.frames,
            "sop_class_uid": derived.sop_class_uid,
            "sources": list(output.source_instances),
        }
        for output in report.outputs
        for derived in output.objects
    ]


def _derived_of(item: dict[str, Any]) -> Derived:
    """The row of what `_derived` has said; a step that an older program finished says less."""
    return Derived(**item | {"path": Path(item["path"]), "sources": tuple(item.get("sources", ()))})


def run_worker(
    settings: NodeSettings, device: str, on_ready: Callable[[], None], stop: threading.Event
) -> None:
    """Convert on `device` until `stop` is set, then end at once: the series in work starts again next time.

    Raises WeightsError or ConfigError if the bundle or the device is not there.
    """
    # Imported here: torch takes over a second, and who imports this module may want only its names.
    from casgan_dicom.model.generator import Generator  # noqa: PLC0415

    @cache
    def load() -> Generator:
        chosen = settings.worker
        return Generator.load(chosen.bundle, device=device, engine=chosen.engine)  # type: ignore[arg-type]

    generator = load()  # what is wrong with the bundle is said at the start, not with the first series
    log.info("generator loaded", model=generator.info.name, engine=generator.engine, device=generator.device)
    layout = Layout(settings.data)
    notes = layout.work / device
    worker = Worker(settings, Ledger(layout.ledger), load, notes)
    queues = [workflows.Queue(workflows.convert_queue(device), 1)]
    with workflows.serving(layout.dbos, f"worker.{device}", {"convert": worker.convert}, queues):
        on_ready()
        stop.wait()
        for note in notes.glob("*"):
            note.unlink()  # stopped, not died
        os._exit(0)
