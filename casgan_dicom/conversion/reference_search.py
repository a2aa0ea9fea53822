"""Which runs may lend their vessels to a run without contrast, by their headers: the nearest first."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from casgan_dicom.conversion.reference_choice import ReferenceChoice
from casgan_dicom.errors import ConfigError, SeriesError
from casgan_dicom.source.candidates import NEEDED, Judgement, Verdict, judge
from casgan_dicom.source.cine import Cine, Series
from casgan_dicom.source.eligible import reasons_against, reasons_against_series
from casgan_dicom.source.run_facts import RunFacts, facts_of
from casgan_dicom.source.series import find_series


@dataclass(frozen=True, eq=False)
class Candidate:
    """A run that may lend its vessels to another, and what speaks for and against it."""

    cine: Cine
    """The run."""
    facts: RunFacts
    """What its headers tell."""
    judgement: Judgement
    """By the headers of both; which frames are filled is added when they are looked at."""


@dataclass(frozen=True, eq=False)
class _Lender:
    """A run before it is held against another."""

    cine: Cine
    facts: RunFacts
    kind: Verdict
    """Whether it is a run of X-ray frames at all."""


class ReferenceRuns:
    """The runs that may be references, read once for all runs without contrast.

    Parameters
    ----------
    choice
        What the caller wants.
    given
        The input itself: where nothing is named, its runs are looked at, too.

    Raises
    ------
    ConfigError
        The named run is none, or several.
    SeriesError
        A path is not there, or none holds a DICOM file.
    """

    def __init__(self, choice: ReferenceChoice, given: Sequence[Path]) -> None:
        self._automatic = choice.automatic
        paths = [*given, *choice.search] if choice.automatic else choice.run
        self._lenders = [
            _lender(cine, series) for series in find_series(paths).series for cine in series.cines
        ]
        if not choice.automatic:
            named = [lender for lender in self._lenders if lender.kind.answer == "fits"] or self._lenders
            if len(named) != 1:
                raise ConfigError(
                    f"the reference holds {len(named)} runs, need one",
                    hint="pass the files of one run, or --reference auto with --in to look for the nearest",
                )
            self._lenders = named

    def candidates(self, target: Cine) -> tuple[Candidate, ...]:
        """Every other run, judged for a target: those that fit first, then the nearest in time."""
        facts = _facts(target)
        found = [
            Candidate(lender.cine, lender.facts, _judged(facts, lender))
            for lender in self._lenders
            if not (self._automatic and set(lender.facts.instances) & set(facts.instances))
        ]
        return tuple(sorted(found, key=_order))

    def usable(self, target: Cine, *, force: bool) -> tuple[Candidate, ...]:
        """Those that may be used, the nearest first: where one is named, that one.

        `force` overrules what may be overruled of a run that is named.

        Raises SeriesError where there is none, with what speaks against each.
        """
        found = self.candidates(target)
        if self._automatic:
            fit = tuple(one for one in found if one.judgement.sure)
        else:
            fit = tuple(one for one in found if one.judgement.allows(force=force))
        if not fit:
            raise SeriesError(self._why_none(found), hint=self._way_out(found))
        return fit

    def _why_none(self, found: Sequence[Candidate]) -> str:
        if not found:
            return "no reference: there is no other run to take vessels from"
        if not self._automatic:
            return f"reference refused: {against(found[0])}"
        each = "; ".join(f"series {one.facts.series_uid}: {against(one)}" for one in found[:3])
        more = f"; and {len(found) - 3} more" if len(found) > 3 else ""
        return f"no reference: none of {len(found)} other runs fits: {each}{more}"

    def _way_out(self, found: Sequence[Candidate]) -> str:
        if self._automatic:
            return "casgan-dicom reference says of every run why; --reference RUN names one"
        return "--force uses it all the same" if found and found[0].judgement.forceable else ""


def against(candidate: Candidate) -> str:
    """What keeps a candidate from being used, one clause: what does not fit, else what has to be known."""
    judgement = candidate.judgement
    said = judgement.refusals or [one for one in judgement.unknown if one.criterion in NEEDED]
    return ", ".join(map(str, said))


def _lender(cine: Cine, series: Series) -> _Lender:
    reasons = [*reasons_against_series(series), *reasons_against(cine, angiogram=True)]
    if reasons:
        kind = Verdict("kind", "refused", ", ".join(map(str, reasons)))
    else:
        kind = Verdict("kind", "fits", "a run of X-ray frames")
    return _Lender(cine, _facts(cine), kind)


def _facts(cine: Cine) -> RunFacts:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom quotes malformed values, which may be those of a patient
        return facts_of(cine)


def _judged(target: RunFacts, lender: _Lender) -> Judgement:
    found = judge(target, lender.facts)
    return replace(found, verdicts=(lender.kind, *found.verdicts))


def _order(candidate: Candidate) -> tuple[bool, bool, float, str]:
    """Those that nothing speaks against first, then those that are known to be near in time."""
    judgement = candidate.judgement
    gap = math.inf if judgement.gap_s is None else abs(judgement.gap_s)
    return bool(judgement.refusals), not judgement.sure, gap, candidate.facts.instances[0]
