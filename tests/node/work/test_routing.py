"""Which rule decides: the first that holds, for every run, and never by what is unknown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from casgan_dicom.conversion.options import ConvertOptions
from casgan_dicom.node.rules.conditions import Truth
from casgan_dicom.node.rules.rule import rules_of
from casgan_dicom.node.settings import DestinationSettings, NodeSettings, RuleSettings
from casgan_dicom.node.work.facts import Facts, Pixels, RunKnown, Source
from casgan_dicom.node.work.routing import Decision, becoming, decide

SOURCE = Source("CATHLAB1", "CASGAN", "10.1.2.3")
STEADY: Mapping[str, Truth] = {
    "image": Truth.NO,
    "cine": Truth.YES,
    "rotation": Truth.NO,
    "stepping": Truth.NO,
    "steady": Truth.YES,
}
ALL = RuleSettings("all")


def run(
    kinds: Mapping[str, Truth] = STEADY, angles: tuple[float, float] | None = (-30, 20), **elements: object
) -> RunKnown:
    ds = Dataset()
    for keyword, value in ({"Modality": "XA"} | elements).items():
        setattr(ds, keyword, value)
    return RunKnown(ds, kinds, angles)


def facts(*runs: RunKnown, source: Source = SOURCE, **pixels: tuple[Pixels, ...]) -> Facts:
    return Facts(source, runs or (run(),), {name.removeprefix("own"): seen for name, seen in pixels.items()})


def asked(known: Facts, *rules: RuleSettings) -> Decision:
    return decide(rules_of(rules), known)


def rule(name: str = "first", **wanted: Any) -> RuleSettings:  # noqa: ANN401  # of its fields
    return RuleSettings(name, **wanted)


def test_the_first_rule_that_holds_decides_and_those_before_say_why_not() -> None:
    decision = asked(
        facts(),
        rule("lab2", calling_ae=("CATHLAB2",)),
        rule("rf", header=("Modality = RF", "Modality present")),
        rule("xa", header=("Modality = XA",)),
        ALL,
    )

    assert decision.name == "xa"
    assert [str(said) for said in decision.because] == ["header 'Modality = XA'"]
    assert [str(passed) for passed in decision.passed_over] == [
        "rule 'lab2': calling_ae CATHLAB2 does not hold: it is CATHLAB1",
        "rule 'rf': header 'Modality = RF' does not hold: it is 'XA'",
    ]


def test_where_no_rule_holds_none_decides() -> None:
    decision = asked(facts(), rule(calling_ae=("X",)))

    assert decision.rule is None
    assert [passed.rule for passed in decision.passed_over] == ["first"]


@pytest.mark.parametrize(
    ("wanted", "holds"),
    [
        ({}, True),
        ({"calling_ae": ("X", "CATHLAB1")}, True),
        ({"calling_ae": ("CATH*",)}, True),
        ({"calling_ae": ("cath*",)}, False),  # case counts in AE titles
        ({"calling_ae": ("CATHLAB[1]", "CATHLAB?")}, False),  # only * stands for something
        ({"called_ae": ("CASGAN",)}, True),
        ({"called_ae": ("OTHER",)}, False),
        ({"address": ("10.9.0.0/16", "10.1.0.0/16")}, True),
        ({"address": ("10.1.2.4",)}, False),
        ({"kind": ("image", "cine")}, True),
        ({"kind": ("rotation", "stepping")}, False),
        ({"primary_angle": (-30, -30)}, True),
        ({"primary_angle": (-29, 29)}, False),
        ({"secondary_angle": (15, 25)}, True),
        ({"primary_angle": (-40, 0), "secondary_angle": (-10, 0)}, False),
        ({"calling_ae": ("CATHLAB1",), "header": ("Modality = RF",)}, False),
    ],
)
def test_a_rule_holds_if_all_of_its_conditions_do(wanted: dict[str, Any], holds: bool) -> None:
    assert (asked(facts(), rule(**wanted)).name == "first") is holds


@pytest.mark.parametrize(
    "wanted",
    [
        {"calling_ae": ("*",)},
        {"called_ae": ("*",)},
        {"address": ("0.0.0.0/0",)},
        {"header": ("StationName != X",)},
        {"kind": ("rotation",)},
        {"kind": ("steady",)},
        {"primary_angle": (-180, 180)},
        {"secondary_angle": (-180, 180)},
        {"opacified": "yes"},
        {"opacified": "no"},
        {"score_below": 99},
        {"score_from": 0},
    ],
)
def test_what_is_unknown_decides_nothing(wanted: dict[str, Any]) -> None:
    dark = run(dict.fromkeys(STEADY, Truth.UNKNOWN), None)
    unseen = Pixels(Truth.UNKNOWN, None, "frame 2 cannot be decoded")

    decision = asked(facts(dark, source=Source(), own=(unseen,)), rule(**wanted), ALL)

    assert decision.name == "all"
    (passed,) = decision.passed_over
    assert [said.truth for said in passed.because] == [Truth.UNKNOWN]
    assert "is unknown: " in str(passed)


@pytest.mark.parametrize(
    ("wanted", "seen", "holds"),
    [
        ({"opacified": "yes"}, Pixels(Truth.YES, 0.2), True),
        ({"opacified": "no"}, Pixels(Truth.YES, 0.2), False),
        ({"opacified": "no"}, Pixels(Truth.NO, 0.2), True),
        ({"score_below": 0.5}, Pixels(Truth.NO, 0.49), True),
        ({"score_below": 0.5}, Pixels(Truth.NO, 0.5), False),
        ({"score_from": 0.5}, Pixels(Truth.NO, 0.5), True),
        ({"score_from": 0.5, "score_below": 0.7}, Pixels(Truth.NO, 0.7), False),
    ],
)
def test_pixels_are_held_against_a_rule(wanted: dict[str, Any], seen: Pixels, holds: bool) -> None:
    assert (asked(facts(own=(seen,)), rule(**wanted)).name == "first") is holds


def test_a_rule_whose_headers_hold_waits_for_its_pixels_and_its_bundle_is_named() -> None:
    needy = rule(opacified="no", score_below=1, bundle="casgan")

    decision = asked(facts(own=(Pixels(Truth.NO, 0.1),)), needy, ALL)

    assert decision.name == "first"  # the first that may decide
    assert decision.open == ("opacified no", "score_below 1")


def test_pixels_are_not_asked_for_where_headers_say_enough() -> None:
    decision = asked(facts(), rule(opacified="no", calling_ae=("X",)), ALL)

    assert (decision.name, decision.open) == ("all", ())
    assert [said.condition for said in decision.passed_over[0].because] == ["calling_ae X"]


def test_a_rule_holds_for_a_series_only_if_it_holds_for_every_run_of_it() -> None:
    both, one = (run(), run()), (run(), run(Modality="RF"))
    wanted = rule(header=("Modality = XA",))

    assert asked(facts(*both), wanted).name == "first"
    assert asked(facts(*one), wanted).name == ""
    assert asked(facts(run(), run(Modality="")), wanted).passed_over[0].because[0].truth is Truth.UNKNOWN


TRUTHS = st.sampled_from(list(Truth))


@given(st.lists(st.lists(TRUTHS, min_size=1, max_size=3), max_size=4))
def test_the_rule_that_decides_is_the_first_of_which_everything_is_true(rules: list[list[Truth]]) -> None:
    """The oracle: a rule is a list of truths, made of kinds that are so, are not so, or are not known."""
    kinds = {"image": Truth.NO, "cine": Truth.YES, "rotation": Truth.UNKNOWN}
    word = {Truth.NO: "Modality = RF", Truth.YES: "Modality = XA", Truth.UNKNOWN: "StationName = X"}
    written = [rule(f"r{k}", header=tuple(word[truth] for truth in truths)) for k, truths in enumerate(rules)]

    decision = asked(facts(run(kinds)), *written)

    expected = next((f"r{k}" for k, truths in enumerate(rules) if set(truths) == {Truth.YES}), "")
    assert decision.name == expected
    before = rules[: int(expected[1:])] if expected else rules
    assert [[said.truth for said in passed.because] for passed in decision.passed_over] == [
        [truth for truth in truths if truth is not Truth.YES] for truths in before
    ]


SETTINGS = NodeSettings(
    destinations=tuple(DestinationSettings(name, "pacs.example", 104, "PACS") for name in ("a", "b"))
)


def test_without_rules_everything_is_converted_as_ever_and_goes_everywhere() -> None:
    becomes = becoming(SETTINGS, None)

    assert (becomes.convert, becomes.bundle, becomes.mode) == (True, "", "invent")
    assert becomes.form == ConvertOptions()
    assert becomes.destinations == ("a", "b")


def test_where_there_are_rules_and_none_decides_nothing_leaves() -> None:
    becomes = becoming(replace(SETTINGS, rules=(rule(calling_ae=("X",)),)), None)

    assert (becomes.convert, becomes.destinations) == (False, ())


@pytest.mark.parametrize(
    ("wanted", "goes_to"),
    [
        ({}, ("a", "b")),
        ({"destinations": ()}, ()),
        ({"destinations": ("b",)}, ("b",)),
        ({"convert": False}, ()),
    ],
)
def test_a_rule_says_where_its_series_go(wanted: dict[str, Any], goes_to: tuple[str, ...]) -> None:
    becomes = becoming(replace(SETTINGS, rules=(rule(**wanted),)), rule(**wanted))

    assert becomes.destinations == goes_to
    assert becomes.convert is wanted.get("convert", True)


def test_a_rule_says_bundle_mode_form_and_priority() -> None:
    becomes = becoming(SETTINGS, rule(bundle="casgan", mode="reference", bits=12, priority="urgent"))

    assert (becomes.bundle, becomes.mode, becomes.priority) == ("casgan", "reference", "urgent")
    assert becomes.form == ConvertOptions(bits=12)
