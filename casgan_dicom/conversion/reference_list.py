"""Which runs could lend their vessels to a run, and why each fits or does not: nothing is written."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from casgan_dicom.conversion.output_folder import spool_in
from casgan_dicom.conversion.reference_choice import ReferenceChoice
from casgan_dicom.conversion.reference_reading import look_at
from casgan_dicom.conversion.reference_search import Candidate, ReferenceRuns
from casgan_dicom.conversion.task import silent
from casgan_dicom.errors import SeriesError
from casgan_dicom.source.candidates import Verdict
from casgan_dicom.source.cine import Cine
from casgan_dicom.source.series import find_series

if TYPE_CHECKING:
    from casgan_dicom.model.generator import Generator

SCHEMA = 1
"""Version of the JSON form."""


@dataclass(frozen=True)
class ListedReference:
    """One run that could lend its vessels."""

    series_uid: str
    """Series Instance UID (0020,000E)."""
    instances: tuple[str, ...]
    """SOP Instance UIDs (0008,0018)."""
    frames: int
    """How many it has."""
    fits: bool
    """Whether `convert --reference auto` may take it: nothing speaks against it, time and view are known."""
    gap_s: float | None
    """Seconds from its start to that of the target; None where unknown."""
    verdicts: tuple[Verdict, ...]
    """What each criterion says."""


@dataclass(frozen=True)
class ListedTarget:
    """One run that could get them."""

    series_uid: str
    """Series Instance UID (0020,000E)."""
    instances: tuple[str, ...]
    """SOP Instance UIDs (0008,0018)."""
    references: tuple[ListedReference, ...]
    """Every other run that was found: those that fit first, then the nearest in time."""


@dataclass(frozen=True)
class ReferenceList:
    """What was found for every run."""

    targets: tuple[ListedTarget, ...]
    """In the order of their series."""

    @property
    def exit_code(self) -> int:
        """0: there is a reference for every run; 3: for none; 4: for some."""
        served = [any(one.fits for one in target.references) for target in self.targets]
        return 3 if not any(served) else 0 if all(served) else 4

    def as_json(self) -> dict[str, Any]:
        """The result as JSON types."""
        return {"schema": SCHEMA, "targets": [asdict(target) for target in self.targets]}


def list_references(
    targets: Sequence[Path], search: Sequence[Path], load: Callable[[], Generator] | None
) -> ReferenceList:
    """Judge every run in files and folders as the reference of every target.

    Parameters
    ----------
    targets
        Files or folders of the runs without contrast; their other runs are judged, too.
    search
        Files or folders of more runs.
    load
        Gives the generator whose segmentor tells which frames are filled, asked only if a run fits by its
        headers; None leaves that unknown.

    Raises
    ------
    SeriesError
        A path is not there, or no file holds a DICOM header.
    """
    cines = find_series(targets).cines
    runs = ReferenceRuns(ReferenceChoice(search=tuple(search)), targets)
    looks = _Looks(load)
    return ReferenceList(tuple(_target(cine, runs, looks) for cine in cines))


class _Looks:
    """Which frames of a run are filled; each run is looked at once."""

    def __init__(self, load: Callable[[], Generator] | None) -> None:
        self._load = load
        self._known: dict[tuple[str, ...], Verdict] = {}

    def __call__(self, candidate: Candidate) -> Candidate:
        """Add the verdict on a candidate that nothing else speaks against."""
        if self._load is None or candidate.judgement.refusals:
            return candidate
        key = candidate.facts.instances
        if key not in self._known:
            self._known[key] = self._verdict(candidate, self._load())
        return replace(candidate, judgement=candidate.judgement.with_verdict(self._known[key]))

    def _verdict(self, candidate: Candidate, generator: Generator) -> Verdict:
        try:
            with spool_in(Path(tempfile.gettempdir())) as spool:
                return look_at(candidate, generator, spool, silent).verdict
        except SeriesError as error:
            return Verdict("filled", "refused", error.message)


def _target(cine: Cine, runs: ReferenceRuns, looks: _Looks) -> ListedTarget:
    listed = [_reference(looks(candidate)) for candidate in runs.candidates(cine)]
    return ListedTarget(
        series_uid=cine.series_uid,
        instances=tuple(instance.sop_instance_uid for instance in cine.instances),
        references=tuple(sorted(listed, key=lambda one: not one.fits)),
    )


def _reference(candidate: Candidate) -> ListedReference:
    facts, judgement = candidate.facts, candidate.judgement
    return ListedReference(
        series_uid=facts.series_uid,
        instances=facts.instances,
        frames=facts.frames,
        fits=judgement.sure,
        gap_s=judgement.gap_s,
        verdicts=judgement.verdicts,
    )
