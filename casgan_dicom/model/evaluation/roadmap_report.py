"""The roadmap measured on simulated pairs: all rows over all patients, and every failure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial

import numpy as np

from casgan_dicom.errors import ConfigError, SeriesError
from casgan_dicom.model.data.rendering import SimulatedData, seeds
from casgan_dicom.model.data.run_pairs import (
    PairChange,
    RunPair,
    another_target,
    film_pair,
    usable_frames,
)
from casgan_dicom.model.evaluation.roadmap_failures import (
    OF_BOTH,
    OF_TARGET,
    FailureScores,
    Outcome,
    failure_scores,
)
from casgan_dicom.model.evaluation.roadmap_rows import (
    Frames,
    Paired,
    mean_rows,
    read_pair,
    reference_run,
    score_atlas,
    score_rows,
    score_target,
)
from casgan_dicom.model.generator import Generator
from casgan_dicom.model.metrics.overlay import OverlayScores
from casgan_dicom.model.roadmap.roadmap import Roadmap
from casgan_dicom.model.simulator.background import BackgroundSource
from casgan_dicom.model.simulator.run import CineSettings

Log = Callable[[str], None]
ROADMAP, STATIC = "roadmap", "static, diastole"


@dataclass(frozen=True)
class PairProtocol:
    """How much is measured."""

    patients: int = 24
    """Pairs."""
    target_frames: int = 15
    """Frames of each target."""
    failing: int = 24
    """Patients whose failures of the second run are rendered."""
    failing_both: int = 8
    """Patients whose failures of both runs are rendered."""
    failing_frames: int = 6
    """Frames of each of those targets."""
    size: int = 256
    """Rows and columns."""
    lead_in: int = 4
    """Frames of a reference before its injection."""
    filled: int = 40
    """Frames of a reference from when it is full."""
    run_frames: int = 75
    """Length of the runs that frames are picked from."""

    def picked(self, frames: int, rate: float) -> range:
        """Frames of a target: over about two seconds, or as many as there are."""
        step = max(1, int(2.0 * rate / max(frames, 1)))
        return range(0, min(frames * step, self.run_frames), step)


@dataclass(frozen=True)
class PairReport:
    """What was measured."""

    protocol: PairProtocol
    """How much."""
    patients: tuple[Mapping[str, OverlayScores], ...]
    """Row → mean over frames, of each patient; a row is missing where a patient has no frame of it."""
    accepted: tuple[tuple[float, float], ...]
    """Of each patient: share of frames that are not refused, and of those, share that is right."""
    unusable: int
    """Patients whose reference was refused."""
    failures: Mapping[str, FailureScores]
    """By kind."""
    source: str
    """One sentence about the data."""

    def figures(self) -> dict[str, object]:
        """As JSON values."""
        return {
            "protocol": asdict(self.protocol),
            "source": self.source,
            "unusable": self.unusable,
            "patients": [{name: asdict(s) for name, s in rows.items()} for rows in self.patients],
            "accepted": [list(pair) for pair in self.accepted],
            "failures": {kind: asdict(scores) for kind, scores in self.failures.items()},
        }


@dataclass
class _Bench:
    """What is needed to measure one pair after the other."""

    protocol: PairProtocol
    backgrounds: BackgroundSource
    segmentor: Generator
    atlases: Sequence[tuple[str, Generator]]
    log: Log
    last: Paired | None = None

    def patient(self, seed: int) -> tuple[Paired, dict[str, list[OverlayScores]]]:
        """One usable pair and its rows; chance takes the vessels of the pair before."""
        pair = self._film(seed, PairChange(), self.protocol.target_frames)
        one = read_pair(pair, self._segment, self.segmentor.engaged)
        rows = score_rows(one, self.last)
        for label, generator in self.atlases:
            rows[label] = score_atlas(generator, pair)
        self.last = one
        return one, rows

    def failures(self, one: Paired) -> dict[str, Outcome]:
        """What becomes of every failure of one patient's second run."""
        outcomes, few = {}, self.protocol.failing_frames
        for kind, change in OF_TARGET.items():
            chosen = self.protocol.picked(few, change.frame_rate)
            pair = another_target(one.pair, self.backgrounds, change, chosen)
            outcomes[kind] = self._outcome(pair, one.roadmap)
        return outcomes

    def failures_of_both(self, one: Paired) -> dict[str, Outcome]:
        """What becomes of those that change the first run, too: five runs more."""
        outcomes, few = {}, self.protocol.failing_frames
        for kind, change in OF_BOTH.items():
            pair = self._film(one.pair.reference.seed, change, few)
            try:
                roadmap = Roadmap.of(reference_run(pair, self._segment))
            except SeriesError:
                outcomes[kind] = Outcome.unusable(len(pair.target.indices))
                continue
            outcomes[kind] = self._outcome(pair, roadmap)
        return outcomes

    def _film(self, seed: int, change: PairChange, frames: int) -> RunPair:
        settings = CineSettings(
            size=self.protocol.size, frames=self.protocol.run_frames, frame_rate=change.frame_rate
        )
        choose = partial(usable_frames, lead_in=self.protocol.lead_in, filled=self.protocol.filled)
        picked = self.protocol.picked(frames, change.frame_rate)
        return film_pair(seed, settings, self.backgrounds, change, indices=(choose, picked))

    def _segment(self, frames: Frames) -> Frames:
        return self.segmentor.vessels(frames, twice=True)

    def _outcome(self, pair: RunPair, roadmap: Roadmap) -> Outcome:
        return Outcome.of(*score_target(pair, roadmap, self.segmentor.engaged))


def evaluate_pairs(
    data: SimulatedData,
    segmentor: Generator,
    atlases: Sequence[tuple[str, Generator]],
    protocol: PairProtocol,
    log: Log = lambda _sentence: None,
) -> PairReport:
    """Measure the roadmap on simulated pairs.

    Parameters
    ----------
    data
        Simulator and seed; patients are those of the evaluation, which no training saw.
    segmentor
        Whose `vessels` finds the reference's.
    atlases
        (label, generator) of bundles that draw by a plan on the same targets.
    protocol
        How much of everything.
    log
        Receives a sentence for each patient.

    Raises
    ------
    ConfigError
        No pair has a usable reference.
    """
    bench = _Bench(protocol, data.backgrounds(), segmentor, atlases, log)
    patients: list[dict[str, OverlayScores]] = []
    accepted, outcomes, unusable = [], [], 0
    for count, seed in enumerate(seeds(data, "evaluation", protocol.patients)):
        try:
            one, rows = bench.patient(seed)
        except SeriesError as error:
            unusable += 1
            log(f"patient {count + 1}: {error}")
            continue
        patients.append(mean_rows(rows))
        accepted.append(_accepted(one, rows))
        log(f"patient {count + 1}: {one.pair.reference.injected}, Dice {patients[-1][ROADMAP].dice:.2f}")
        if count < protocol.failing:
            outcomes.append(bench.failures(one))
        if count < protocol.failing_both:
            outcomes.append(bench.failures_of_both(one))
    if not patients:
        raise ConfigError("no simulated pair has a usable reference", hint="another seed, or more patients")
    kinds = {
        kind: failure_scores([o[kind] for o in outcomes if kind in o])
        for kind in dict.fromkeys(kind for o in outcomes for kind in o)
    }
    return PairReport(protocol, tuple(patients), tuple(accepted), unusable, kinds, "")


def _accepted(one: Paired, rows: Mapping[str, Sequence[OverlayScores]]) -> tuple[float, float]:
    taken = [placed.refused is None for placed in one.run]
    right = [score.recall >= 0.5 for score in rows["roadmap, accepted"]]
    return float(np.mean(taken)), float(np.mean(right)) if right else float("nan")


def markdown(report: PairReport) -> str:
    """The report as a page for people."""
    return "\n\n".join([_rows_table(report), _summary(report), _failure_table(report)]) + "\n"


def _rows_table(report: PairReport) -> str:
    lines = [
        "| drawn | patients | Dice | R | P | distance | worst patient's Dice |",
        "|---|---|---|---|---|---|---|",
    ]
    names = list(dict.fromkeys(name for rows in report.patients for name in rows))
    for name in names:
        of = [rows[name] for rows in report.patients if name in rows]
        shares = [
            float(np.mean([getattr(s, field) for s in of])) for field in ("dice", "recall", "precision")
        ]
        distance, worst = np.mean([s.distance_px for s in of]), min(s.dice for s in of)
        cells = [name, str(len(of)), *(f"{share:.2f}" for share in shares), f"{distance:.1f}", f"{worst:.2f}"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _summary(report: PairReport) -> str:
    both = [(rows[ROADMAP], rows[STATIC]) for rows in report.patients if {ROADMAP, STATIC} <= set(rows)]
    better = np.mean([ours.distance_px < still.distance_px for ours, still in both])
    taken = float(np.mean([share for share, _ in report.accepted]))
    right = float(np.nanmean([share for _, share in report.accepted])) if taken else float("nan")
    return (
        f"Nearer than the best diastolic frame in {100 * better:.0f} % of the patients. Accepted frames: "
        f"{100 * taken:.0f} %, of these right (R ≥ .5) {100 * right:.0f} %. References refused: "
        f"{report.unusable} of {report.unusable + len(report.patients)}."
    )


def _failure_table(report: PairReport) -> str:
    if not report.failures:
        return "No failures were rendered."
    lines = [
        "| failure | pairs | refused | refused or right | R of what was drawn |",
        "|---|---|---|---|---|",
    ]
    for kind, scores in report.failures.items():
        recall = f"{scores.recall:.2f}" if np.isfinite(scores.recall) else "-"
        lines.append(
            f"| {kind} | {scores.runs} | {100 * scores.refused:.0f} % | "
            f"{100 * scores.refused_or_right:.0f} % | {recall} |"
        )
    return "\n".join(lines)
