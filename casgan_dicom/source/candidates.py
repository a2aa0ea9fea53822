"""May an earlier run lend its vessels to a later one? By the headers of both, criterion by criterion.

A contrast-free run can be guided only by a run of the same patient and study, in the same view, at the same
scale, taken before it. Every criterion gives a verdict with a name: it fits, it does not (refused), or it is
unknown. Unknown is never a no, and never a yes: it is said. Some refusals the user may overrule; that of
another patient, another study or another picture format never.

Pure functions over `RunFacts`; what only pixels tell (which frames are filled) is added by `judge_filled`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from casgan_dicom.source.run_facts import CLOCKS, RunFacts

Answer = Literal["fits", "refused", "unknown"]

ANGLES_DEG = 2.0
"""Largest difference of each positioner angle."""
DETECTOR_MM = 5.0
"""Largest difference of Distance Source to Detector (0018,1110): half a per cent of the magnification."""
SAME_SIZE = 0.01
"""Largest relative difference of fields and of pixel sides."""
GAP_S = 2 * 3600.0
"""Longest time from the reference to the target: within a session. A choice, not a measurement."""
USUAL_BEAT_S = 1.0
"""How long a beat is taken to be where no R waves tell."""
STILL_MM = 1.0
"""Up to this difference of its positions the table stands where it stood."""


@dataclass(frozen=True)
class Verdict:
    """What one criterion says of a candidate."""

    criterion: str
    """Its name, e.g. ``angles``."""
    answer: Answer
    """Whether it speaks for the candidate, against it, or cannot be told."""
    text: str
    """What was found and what is wanted; no patient data."""
    forceable: bool = False
    """Whether the user may overrule a refusal."""

    def __str__(self) -> str:
        return f"{self.criterion}: {self.text}"


@dataclass(frozen=True)
class Judgement:
    """All verdicts on one candidate."""

    verdicts: tuple[Verdict, ...]
    """One for each criterion, in the order in which they are asked."""
    gap_s: float | None = None
    """Seconds from the start of the reference to that of the target; None where unknown."""

    @property
    def refusals(self) -> tuple[Verdict, ...]:
        """Those that speak against it."""
        return tuple(verdict for verdict in self.verdicts if verdict.answer == "refused")

    @property
    def unknown(self) -> tuple[Verdict, ...]:
        """Those that cannot be told."""
        return tuple(verdict for verdict in self.verdicts if verdict.answer == "unknown")

    @property
    def forceable(self) -> bool:
        """Whether the user may overrule everything that speaks against it."""
        return all(verdict.forceable for verdict in self.refusals)

    @property
    def sure(self) -> bool:
        """Whether nothing speaks against it and all that a choice needs is known: ``NEEDED``."""
        return not self.refusals and not any(verdict.criterion in NEEDED for verdict in self.unknown)

    def allows(self, *, force: bool) -> bool:
        """Whether it may be used where the user has named it."""
        return not self.refusals or (force and self.forceable)

    def with_verdict(self, verdict: Verdict) -> Judgement:
        """The same with another verdict, in the place of the one of that name."""
        kept = [verdict if one.criterion == verdict.criterion else one for one in self.verdicts]
        return replace(self, verdicts=tuple(kept if verdict in kept else [*kept, verdict]))


NEEDED = ("time", "angles")
"""What has to be known of a candidate that nobody has named."""


def judge(target: RunFacts, reference: RunFacts) -> Judgement:
    """Judge a run as the reference of another by their headers.

    Parameters
    ----------
    target
        The run without contrast.
    reference
        The run whose vessels it would get.

    Returns
    -------
    Judgement
        Every criterion once, whatever the others say; ``filled`` is unknown before the frames were looked at.
    """
    gap = _gap(target, reference)
    verdicts = [verdict for criterion in _CRITERIA for verdict in criterion(target, reference)]
    verdicts += _time(target, reference, gap)
    verdicts.append(_unknown("filled", "the frames have not been looked at"))
    return Judgement(tuple(verdicts), gap)


def judge_filled(reference: RunFacts, filled: Sequence[bool], frame_time_ms: float) -> Verdict:
    """Say whether contrast fills enough frames of a reference: those of a beat, one after the other.

    `filled` says of each frame whether it shows opacified vessels; `frame_time_ms` is the time from frame to
    frame, of which an assumed one does as well.
    """
    longest = max((len(run) for run in "".join("x" if one else " " for one in filled).split()), default=0)
    count, beat = sum(filled), reference.beat_s or USUAL_BEAT_S
    found = f"{count} of {len(filled)} frames show filled vessels"
    if not count:
        return _refused("filled", found)
    lasts = longest * frame_time_ms / 1000
    if lasts < beat:
        wanted = f"need a beat ({beat:.2f} s{'' if reference.beat_s else ' assumed'})"
        return _refused("filled", f"{found}, {lasts:.2f} s of them in a row, {wanted}", forceable=True)
    return _fits("filled", f"{found}, {lasts:.2f} s of them in a row")


def _fits(criterion: str, text: str) -> Verdict:
    return Verdict(criterion, "fits", text)


def _unknown(criterion: str, text: str) -> Verdict:
    return Verdict(criterion, "unknown", text)


def _refused(criterion: str, text: str, *, forceable: bool = False) -> Verdict:
    return Verdict(criterion, "refused", text, forceable)


def _same_run(target: RunFacts, reference: RunFacts) -> Iterator[Verdict]:
    if set(target.instances) & set(reference.instances):
        yield _refused("run", "it is the run itself")
    else:
        yield _fits("run", "another run")


def _patient(target: RunFacts, reference: RunFacts) -> Iterator[Verdict]:
    """Another patient by any of the elements that both tell; the values are never said."""
    a, b = target.whose, reference.whose
    elements = (
        ("PatientID (0010,0020)", a.patient_id, b.patient_id),
        ("IssuerOfPatientID (0010,0021)", a.issuer, b.issuer),
        ("PatientBirthDate (0010,0030)", a.birth_date, b.birth_date),
    )
    other = [name for name, one, two in elements if one and two and one != two]
    if other:
        yield _refused("patient", f"another patient: {', '.join(other)} differs")
    elif a.patient_id and b.patient_id:
        yield _fits("patient", "PatientID (0010,0020) is the same")
    else:
        yield _unknown("patient", f"PatientID (0010,0020) is empty in {_whom(a.patient_id, b.patient_id)}")


def _study(target: RunFacts, reference: RunFacts) -> Iterator[Verdict]:
    yield _same_text(
        "study", "StudyInstanceUID (0020,000D)", target.whose.study_uid, reference.whose.study_uid
    )


def _frame_of_reference(target: RunFacts, reference: RunFacts) -> Iterator[Verdict]:
    a, b = target.whose.frame_of_reference_uid, reference.whose.frame_of_reference_uid
    yield _same_text("frame of reference", "FrameOfReferenceUID (0020,0052)", a, b)


def _same_text(criterion: str, element: str, a: str, b: str) -> Verdict:
    """Whether an element that must be the same is."""
    if not a or not b:
        return _unknown(criterion, f"{element} is absent in {_whom(a, b)}")
    return _fits(criterion, f"{element} is the same") if a == b else _refused(criterion, f"{element} differs")


def _whom(a: object, b: object) -> str:
    """Which of the two runs lack something."""
    if not a and not b:
        return "both runs"
    return "this run" if not a else "the reference"


def _angles(target: RunFacts, reference: RunFacts) -> Iterator[Verdict]:
    """The same view: both angles, and the plane of a biplane system."""
    if target.turns or reference.turns:
        whose = "both runs" if target.turns and reference.turns else "one run"
        yield _refused("angles", f"the positioner turns during {whose}: no one view stands for it")
        return
    if target.plane and reference.plane and target.plane != reference.plane:
        yield _refused("angles", f"plane {target.plane}, that of the reference {reference.plane}")
        return
    a, b = target.angles_deg, reference.angles_deg
    if a is None or b is None:
        elements = "PositionerPrimaryAngle (0018,1510), PositionerSecondaryAngle (0018,1511)"
        yield _unknown("angles", f"{elements} are unknown in {_whom(a, b)}")
        return
    off = abs((a[0] - b[0] + 180) % 360 - 180), abs(a[1] - b[1])
    text = f"{off[0]:g} and {off[1]:g} degrees apart"
    if max(off) > ANGLES_DEG:
        yield _refused("angles", f"{text}, at most {ANGLES_DEG:g}", forceable=True)
    else:
        yield _fits("angles", text)


def _detector(target: RunFacts, reference: RunFacts) -> Iterator[Verdict]:
    a, b = target.source_detector_mm, reference.source_detector_mm
    if a is None or b is None:
        yield _unknown("SID", f"DistanceSourceToDetector (0018,1110) is unknown in {_whom(a, b)}")
    elif abs(a - b) > DETECTOR_MM:
        text = f"{a:g} mm, that of the reference {b:g} mm, at most {DETECTOR_MM:g} apart"
        yield _refused("SID", text, forceable=True)
    else:
        yield _fits("SID", f"{a:g} and {b:g} mm")


def _matrix(target: RunFacts, reference: RunFacts) -> Iterator[Verdict]:
    a, b = (f"{shape[0]} x {shape[1]}" for shape in (target.shape, reference.shape))
    if target.shape != reference.shape:
        yield _refused("matrix", f"{a}, that of the reference {b}")
    else:
        yield _fits("matrix", a)


def _field(target: RunFacts, reference: RunFacts) -> Iterator[Verdict]:
    """The part of the detector, and how it lies in the picture."""
    turns = zip(("rotation", "flip"), target.field_turn, reference.field_turn, strict=True)
    if other := [name for name, a, b in turns if a and b and a != b]:
        yield _refused("field", f"another {' and '.join(other)} of the field of view")
        return
    a, b = target.field_mm, reference.field_mm
    if not a or not b:
        element = "FieldOfViewDimensions (0018,1149) or IntensifierSize (0018,1162)"
        yield _unknown("field", f"{element} is unknown in {_whom(a, b)}")
    elif len(a) != len(b) or not all(_alike(x, y) for x, y in zip(a, b, strict=True)):
        yield _refused("field", f"{_sizes(a)}, that of the reference {_sizes(b)}")
    else:
        yield _fits("field", _sizes(a))


def _pixel(target: RunFacts, reference: RunFacts) -> Iterator[Verdict]:
    a, b = target.pixel_mm, reference.pixel_mm
    if a is None or b is None:
        yield _unknown("pixel spacing", f"ImagerPixelSpacing (0018,1164) is unknown in {_whom(a, b)}")
    elif not _alike(a[0], b[0]):
        yield _refused("pixel spacing", f"{a[0]:g} mm, that of the reference {b[0]:g} mm")
    else:
        yield _fits("pixel spacing", f"{a[0]:g} mm")


def _intensity(target: RunFacts, reference: RunFacts) -> Iterator[Verdict]:
    """Depths of one scale mean nothing on another."""
    a, b = target.intensity, reference.intensity
    if not a or not b:
        yield _unknown("intensity", f"PixelIntensityRelationship (0028,1040) is absent in {_whom(a, b)}")
    elif a != b:
        yield _refused("intensity", "PixelIntensityRelationship (0028,1040) differs")
    else:
        yield _fits("intensity", "PixelIntensityRelationship (0028,1040) is the same")


def _table(target: RunFacts, reference: RunFacts) -> Iterator[Verdict]:
    """A table that moved is no reason, if it is known how far."""
    a, b = target.table_mm, reference.table_mm
    if not a or not b:
        yield _unknown("table", f"the position of the table is unknown in {_whom(a, b)}")
        return
    height, *way = (abs(one - two) for one, two in zip(a[0], b[0], strict=True))
    moved = max(way) if max(way) > STILL_MM else 0.0
    text = f"moved by {moved:.0f} mm" if moved else "where it stood"
    if height > STILL_MM:
        text += f", its height by {height:.0f} mm"
    yield _fits("table", text + (", and moves during the run" if max(len(a), len(b)) > 1 else ""))


def _artery(target: RunFacts, reference: RunFacts) -> Iterator[Verdict]:
    a, b = target.artery, reference.artery
    if a is None or b is None:
        yield _unknown("artery", f"no header says which artery is meant in {_whom(a, b)}")
    elif a != b:
        yield _refused("artery", f"{a}, that of the reference {b}", forceable=True)
    else:
        yield _fits("artery", a)


def _heart_rate(target: RunFacts, reference: RunFacts) -> Iterator[Verdict]:
    """Another rate is no reason; R waves in neither are said where the phase is found."""
    a, b = target.heart_rate_bpm, reference.heart_rate_bpm
    if a is None or b is None:
        yield _unknown("heart rate", f"no R waves and no HeartRate (0018,1088) in {_whom(a, b)}")
    else:
        yield _fits("heart rate", f"{a:.0f}, in the reference {b:.0f} beats a minute")


def _gap(target: RunFacts, reference: RunFacts) -> float | None:
    """Seconds from start to start, by the first clock that both runs have."""
    for name in CLOCKS:
        if name in target.clocks and name in reference.clocks:
            return target.clocks[name].seconds_after(reference.clocks[name])
    return None


def _time(target: RunFacts, reference: RunFacts, gap: float | None) -> Iterator[Verdict]:
    """Earlier, and in the same session."""
    if gap is None:
        whose = _whom(target.clocks, reference.clocks)
        yield _unknown("time", f"no clock that both have: no time is known in {whose}")
    elif gap <= (reference.length_s or 0.0):
        when = "later than this run" if gap < 0 else "at the time of this run"
        yield _refused("time", f"taken {when}, need an earlier one", forceable=gap != 0)
    elif gap > GAP_S:
        yield _refused("time", f"{gap / 60:.0f} minutes earlier, at most {GAP_S / 60:g}", forceable=True)
    else:
        yield _fits("time", f"{gap:.0f} s earlier")


def _alike(a: float, b: float) -> bool:
    return abs(a - b) <= SAME_SIZE * max(abs(a), abs(b))


def _sizes(sides: Sequence[float]) -> str:
    return " x ".join(f"{side:g}" for side in sides) + " mm"


_CRITERIA: tuple[Callable[[RunFacts, RunFacts], Iterator[Verdict]], ...] = (
    _same_run,
    _patient,
    _study,
    _frame_of_reference,
    _angles,
    _detector,
    _matrix,
    _field,
    _pixel,
    _intensity,
    _table,
    _artery,
    _heart_rate,
)
