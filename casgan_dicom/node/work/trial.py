"""What would become of files if a node received them: the rules asked, and nothing done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from casgan_dicom.node.rules.rule import form_text
from casgan_dicom.node.settings import NodeSettings
from casgan_dicom.node.work.bundles import Bundles
from casgan_dicom.node.work.facts import Pixels, Source, pixels_of
from casgan_dicom.node.work.routing import Becoming, Decision, becoming, decide_series
from casgan_dicom.source.cine import Cine, Series
from casgan_dicom.source.eligible import reasons_against, reasons_against_series
from casgan_dicom.source.series import find_series
from casgan_dicom.uids import shown_uid


@dataclass(frozen=True)
class Trial:
    """What would become of one series."""

    series_uid: str
    """Series Instance UID (0020,000E)."""
    decision: Decision
    """Which rule decides, and why."""
    becomes: Becoming
    """What it makes of the series."""
    bundle: str
    """Name of the bundle."""
    notes: tuple[str, ...]
    """Why it would be skipped all the same, by its headers."""

    def as_json(self) -> dict[str, Any]:
        """The trial as JSON types."""
        becomes = self.becomes
        return {
            "series_uid": self.series_uid,
            "rule": self.decision.name,
            "because": [str(said) for said in self.decision.because],
            "passed_over": [str(passed) for passed in self.decision.passed_over],
            "open": list(self.decision.open),
            "convert": becomes.convert,
            "bundle": self.bundle,
            "mode": becomes.mode,
            "form": form_text(becomes.form),
            "priority": becomes.priority,
            "destinations": list(becomes.destinations),
            "notes": list(self.notes),
        }


@dataclass(frozen=True)
class Tried:
    """What would become of files."""

    trials: tuple[Trial, ...]
    """Each series, in the order of the UIDs."""
    passed_over: Mapping[str, int]
    """How many files belong to none, for each reason."""


def try_rules(settings: NodeSettings, files: Sequence[Path], source: Source, folder: Path | None) -> Tried:
    """Ask the rules about every series in files and folders.

    `folder` takes decoded frames meanwhile; None: nobody looks at pixels. Raises SeriesError if there is no
    DICOM file at all, WeightsError or ConfigError if a bundle that is to look is not there.
    """
    found = find_series(files)
    bundles = Bundles(settings.worker, settings.worker.devices[0])

    @cache
    def judge(cine: Cine, bundle: str) -> Pixels:
        assert folder is not None
        return pixels_of(cine, bundles.load(bundle), folder)

    trials = []
    for series in found.series:
        decision = decide_series(settings, series.cines, source, None if folder is None else judge)
        becomes = becoming(settings, None if decision.rule is None else decision.rule.settings)
        bundle = Path(becomes.bundle or settings.worker.bundle).name
        trials.append(Trial(shown_uid(series.uid), decision, becomes, bundle, _notes(series)))
    counts = dict(found.skipped_counts)
    for file in found.damaged:
        counts[file.reason] = counts.get(file.reason, 0) + 1
    return Tried(tuple(trials), counts)


def _notes(series: Series) -> tuple[str, ...]:
    """Why nothing would come of a series that is to be converted, as far as its headers tell."""
    reasons = [*reasons_against_series(series), *(r for cine in series.cines for r in reasons_against(cine))]
    return tuple(dict.fromkeys(f"would be skipped: {reason.text}" for reason in reasons))
