"""Which rule decides about a series, and why none before it. Pure: facts in, decision out.

The first rule whose conditions all hold decides. A condition holds for a series if it holds for each of its
runs; where that is unknown for one of them (the header says nothing, the pixels cannot be judged), the rule
does not decide: unknown is neither yes nor no. Conditions on pixels come last, and are left open until
somebody has looked: a decision then says which bundle is to be asked, and is made again with its answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from casgan_dicom.conversion.options import ConvertOptions
from casgan_dicom.node.addresses import is_within
from casgan_dicom.node.rules.conditions import Condition, Truth
from casgan_dicom.node.rules.rule import Rule, rules_of
from casgan_dicom.node.settings import NodeSettings, RuleSettings
from casgan_dicom.node.work.facts import Facts, Pixels, RunKnown, Source, facts_of
from casgan_dicom.source.cine import Cine

NO_RULE = "no rule holds for it: kept, and not converted"
"""Why a series is kept about which no rule decides."""
NOT_LOOKED = "nobody has looked at the pixels"

Judge = Callable[[Cine, str], Pixels]
"""Tells what the pixels of a run show, to a bundle; empty for that of the worker."""


@dataclass(frozen=True)
class Said:
    """One condition of a rule, held against a series."""

    condition: str
    """Key of the rule and what it wants."""
    truth: Truth
    """Whether it holds."""
    found: str
    """What there is instead; no patient data."""

    def __str__(self) -> str:
        if self.truth is Truth.YES:
            return self.condition
        said = "is unknown" if self.truth is Truth.UNKNOWN else "does not hold"
        return f"{self.condition} {said}: {self.found}"


@dataclass(frozen=True)
class PassedOver:
    """A rule that does not decide."""

    rule: str
    """Its name."""
    because: tuple[Said, ...]
    """Its conditions that do not hold, or are unknown; of the pixels nothing, where headers say enough."""

    def __str__(self) -> str:
        return f"rule '{self.rule}': {'; '.join(map(str, self.because))}"


@dataclass(frozen=True)
class Decision:
    """Which rule decides about a series."""

    rule: Rule | None
    """The one that does; while conditions are open, the first that may; None if none does."""
    because: tuple[Said, ...] = ()
    """Its conditions."""
    passed_over: tuple[PassedOver, ...] = ()
    """The rules before it, or all."""
    open: tuple[str, ...] = ()
    """Its conditions on pixels that nobody has looked at."""

    @property
    def name(self) -> str:
        """Name of the rule that decides; empty if none does."""
        return "" if self.rule is None else self.rule.name


@dataclass(frozen=True)
class Becoming:
    """What becomes of a series."""

    convert: bool
    """Whether it is converted; else it is kept."""
    bundle: str
    """Name or folder of the bundle; empty for that of the worker."""
    mode: str
    """``invent`` or ``reference``."""
    form: ConvertOptions
    """In which form."""
    destinations: tuple[str, ...]
    """Where it goes besides the outbox."""
    priority: str = ""
    """How urgent it is; empty where no rule says so."""


def decide(rules: Sequence[Rule], facts: Facts) -> Decision:
    """Find the rule that decides."""
    passed: list[PassedOver] = []
    for rule in rules:
        said = tuple(_of_headers(rule, facts))
        if all(each.truth is Truth.YES for each in said):
            seen = tuple(_of_pixels(rule, facts))
            if rule.needs_pixels and rule.settings.bundle not in facts.pixels:
                return Decision(rule, said, tuple(passed), tuple(each.condition for each in seen))
            said += seen
        failed = tuple(each for each in said if each.truth is not Truth.YES)
        if not failed:
            return Decision(rule, said, tuple(passed))
        passed.append(PassedOver(rule.name, failed))
    return Decision(None, passed_over=tuple(passed))


def decide_series(
    settings: NodeSettings, cines: Sequence[Cine], source: Source, judge: Judge | None = None
) -> Decision:
    """Find the rule that decides about a series, and look at its pixels where a rule asks for them.

    Without `judge` nobody looks, and the decision may be open. Everybody who asks about a series asks here:
    coordinator, worker and ``test-rules``.
    """
    rules, facts = rules_of(settings.rules), facts_of(cines, source)
    while (decision := decide(rules, facts)).open and judge is not None:
        assert decision.rule is not None
        bundle = decision.rule.settings.bundle
        seen = tuple(judge(cine, bundle) for cine in cines)
        facts = replace(facts, pixels={**facts.pixels, bundle: seen})
    return decision


def becoming(settings: NodeSettings, rule: RuleSettings | None) -> Becoming:
    """What a rule makes of a series; None where no rule decides about it."""
    names = tuple(destination.name for destination in settings.destinations)
    mode = settings.worker.mode
    if rule is None:
        there_are_rules = bool(settings.rules)
        return Becoming(not there_are_rules, "", mode, ConvertOptions(), () if there_are_rules else names)
    if not rule.convert:
        return Becoming(convert=False, bundle="", mode=mode, form=ConvertOptions(), destinations=())
    return Becoming(
        convert=True,
        bundle=rule.bundle,
        mode=rule.mode or mode,
        form=Rule(rule).form,
        destinations=names if rule.destinations is None else rule.destinations,
        priority=rule.priority,
    )


def _of_headers(rule: Rule, facts: Facts) -> Iterator[Said]:
    """The conditions that need no pixels."""
    wanted, source = rule.settings, facts.source
    for key, given in (("calling_ae", source.calling), ("called_ae", source.called)):
        if patterns := getattr(wanted, key):
            yield _of_source(key, patterns, given, _is_title)
    if wanted.address:
        yield _of_source("address", wanted.address, source.address, is_within)
    for condition in rule.conditions:
        yield _of_header(condition, facts.runs)
    if wanted.kind:
        known = [[run.kinds.get(kind, Truth.UNKNOWN) for kind in wanted.kind] for run in facts.runs]
        truth = min((max(each) for each in known), default=Truth.UNKNOWN)
        is_ = [kind for run in facts.runs for kind, truth in run.kinds.items() if truth is Truth.YES]
        found = "no header tells" if truth is Truth.UNKNOWN else f"it is {', '.join(dict.fromkeys(is_))}"
        yield Said(f"kind {' or '.join(wanted.kind)}", truth, found)
    for number, key in enumerate(("primary_angle", "secondary_angle")):
        if (bounds := getattr(wanted, key)) is not None:
            angles = [None if run.angles_deg is None else run.angles_deg[number] for run in facts.runs]
            yield _between(f"{key} {bounds[0]:g} to {bounds[1]:g}", bounds, angles)


def _is_title(title: str, wanted: str) -> bool:
    """Whether an AE title is the one wanted, in which * stands for any characters and nothing else does."""
    return fnmatchcase(title, wanted.replace("[", "[[]").replace("?", "[?]"))


def _of_source(key: str, wanted: Sequence[str], given: str | None, fits: Callable[[str, str], bool]) -> Said:
    text = f"{key} {' or '.join(wanted)}"
    if given is None:
        return Said(text, Truth.UNKNOWN, "nobody said")
    return Said(text, Truth.YES if any(fits(given, one) for one in wanted) else Truth.NO, f"it is {given}")


def _of_header(condition: Condition, runs: Sequence[RunKnown]) -> Said:
    truths = [condition.holds(run.header) for run in runs]
    truth = min(truths, default=Truth.UNKNOWN)
    found = next(
        (condition.found(run.header) for run, one in zip(runs, truths, strict=True) if one is truth), "no run"
    )
    return Said(f"header '{condition.text}'", truth, f"it is {found}")


def _between(text: str, bounds: tuple[float, float], found: Sequence[float | None]) -> Said:
    truths = [
        Truth.UNKNOWN if one is None else Truth.YES if bounds[0] <= one <= bounds[1] else Truth.NO
        for one in found
    ]
    shown = ", ".join("unknown" if one is None else f"{one:g}" for one in found)
    return Said(text, min(truths, default=Truth.UNKNOWN), f"it is {shown or 'unknown'}")


def _of_pixels(rule: Rule, facts: Facts) -> Iterator[Said]:
    """The conditions that need pixels."""
    wanted, seen = rule.settings, facts.pixels.get(rule.settings.bundle)
    if wanted.opacified:
        text, yes = f"opacified {wanted.opacified}", wanted.opacified == "yes"
        truths = [one.opacified if yes else Truth(Truth.YES - one.opacified) for one in seen or ()]
        shown = [_shown(_WORDS[one.opacified], one.unread) for one in seen or ()]
        yield _of_seen(text, truths, seen, shown)
    for key, bound in (("score_below", wanted.score_below), ("score_from", wanted.score_from)):
        if bound is not None:
            truths = [_of_score(key, bound, one.score) for one in seen or ()]
            shown = ["unknown" if one.score is None else f"{one.score:g}" for one in seen or ()]
            shown = [_shown(text, one.unscored) for text, one in zip(shown, seen or (), strict=True)]
            yield _of_seen(f"{key} {bound:g}", truths, seen, shown)


_WORDS = {Truth.YES: "yes", Truth.NO: "no", Truth.UNKNOWN: "unknown"}


def _of_score(key: str, bound: float, score: float | None) -> Truth:
    if score is None:
        return Truth.UNKNOWN
    return Truth.YES if (score < bound) == (key == "score_below") else Truth.NO


def _of_seen(text: str, truths: Sequence[Truth], seen: Sequence[Pixels] | None, shown: Sequence[str]) -> Said:
    if seen is None:
        return Said(text, Truth.UNKNOWN, NOT_LOOKED)
    found = f"it is {', '.join(dict.fromkeys(shown)) or 'unknown'}"
    return Said(text, min(truths, default=Truth.UNKNOWN), found)


def _shown(word: str, why: str) -> str:
    return f"{word} ({why})" if why else word
