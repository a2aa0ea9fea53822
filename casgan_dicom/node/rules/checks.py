"""Which rules make sense: pure, said like the other faults of a node's settings (``node/checks.py``)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields

from casgan_dicom.errors import ConfigError
from casgan_dicom.node.rules.conditions import parse_condition
from casgan_dicom.node.rules.rule import Rule
from casgan_dicom.node.settings import RuleSettings

_NOT_WHEN_KEPT = (
    "bundle", "mode", "bits", "compression", "frames", "single_frame", "maps", "seg", "sr", "review",
    "priority", "destinations",
)  # fmt: skip
"""Results of a rule that mean nothing where it converts nothing."""


def rule_faults(
    rules: Sequence[RuleSettings], destinations: Sequence[str]
) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Everything that makes no sense: what to say, and the keys that it is about, the one to change first."""
    names: dict[str, int] = {}
    for number, rule in enumerate(rules, 1):
        at = f"rules#{number}"
        if (first := names.setdefault(rule.name, number)) != number:
            other = f"rules#{first}.name"
            yield f"{at}.name is '{rule.name}', want no name twice: {other} is it too", (f"{at}.name", other)
        for key, said in _of_one(rule, destinations):
            yield f"{at}.{key} of rule '{rule.name}': {said}", (f"{at}.{key}",)


def _of_one(rule: RuleSettings, destinations: Sequence[str]) -> Iterator[tuple[str, str]]:
    for text in rule.header:
        try:
            parse_condition(text)
        except ValueError as error:
            yield "header", f"condition '{text}': {error}"
    for key in ("primary_angle", "secondary_angle"):
        bounds = getattr(rule, key)
        if bounds is not None and not -180 <= bounds[0] <= bounds[1] <= 180:
            yield key, f"found {bounds[0]:g} to {bounds[1]:g}, want two of -180 to 180, the smaller first"
    low, high = rule.score_from, rule.score_below
    if low is not None and high is not None and low >= high:
        yield "score_below", f"found {high:g}, want more than score_from ({low:g})"
    yield from _of_results(rule, destinations)


def _of_results(rule: RuleSettings, destinations: Sequence[str]) -> Iterator[tuple[str, str]]:
    unknown = [name for name in rule.destinations or () if name not in destinations]
    if unknown:
        known = ", ".join(destinations) or "none"
        yield "destinations", f"no destination is called {', '.join(map(repr, unknown))}, known: {known}"
    try:
        Rule(rule).form  # noqa: B018  # made to see whether it can be
    except ConfigError as error:
        yield _key_of(error.message), error.message
    if rule.convert:
        return
    defaults = {field.name: field.default for field in fields(RuleSettings)}
    for key in _NOT_WHEN_KEPT:
        if getattr(rule, key) != defaults[key]:
            yield key, "found beside convert = false, want one of them: what is kept is not converted or sent"


def _key_of(message: str) -> str:
    """The key that an error about a form begins with."""
    word = message.partition(" ")[0]
    return word if word in ("frames", "bits") else "compression"
