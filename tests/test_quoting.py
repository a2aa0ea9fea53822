"""Text from outside, shown so that no terminal obeys it and no element lets out what it should not hold."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.multival import MultiValue

from casgan_dicom.quoting import printable, printable_list, quoted
from casgan_dicom.uids import uid_name

HOSTILE = {
    "colour": "\x1b[31mred",
    "title": "\x1b]0;owned\x07",
    "8-bit sequence": "\x9b2J",
    "line feed": "a\nforged: line",
    "carriage return": "harmless\rforged",
    "direction": "abc\u202egnp.exe",
    "zero width": "a\u200bb",
    "line separator": "a\u2028b",
    "half of a pair": "\ud800",
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_what_a_terminal_obeys_is_shown_as_an_escape(text: str) -> None:
    shown = printable(text)

    assert shown.isprintable()
    assert "\\" in shown
    assert printable(shown) == shown


@given(st.text())
def test_nothing_but_pictures_is_left_and_these_are_as_they_were(text: str) -> None:
    shown = printable(text)

    obeyed = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
    assert not any(unicodedata.category(char) in obeyed for char in shown)
    if not any(unicodedata.category(char) in obeyed for char in text):
        assert shown == text


@pytest.mark.parametrize(
    ("value", "vr", "shown"),
    [
        ("XA", "CS", "'XA'"),
        (MultiValue(str, ["DERIVED", "SECONDARY"]), "CS", "'DERIVED\\SECONDARY'"),
        (["ORIGINAL", "", "X"], "CS", "'ORIGINAL\\\\X'"),
        ("", "CS", "absent or empty"),
        (None, "CS", "absent or empty"),
        ([], "CS", "absent or empty"),
        ("Doe^John", "CS", "no legal CS (8 characters)"),
        ("foot", "CS", "no legal CS (4 characters)"),
        ("\x1b[2J", "CS", "no legal CS (4 characters)"),
        ("A" * 17, "CS", "no legal CS (17 characters)"),
        (["XA", "Doe^John"], "CS", "no legal CS (11 characters)"),
        (12, "CS", "'12'"),
        ("1.2.840", "UI", "'1.2.840'"),
        ("1.2.840.Doe", "UI", "no legal UI (11 characters)"),
        ("1" * 65, "UI", "no legal UI (65 characters)"),
        ("CATH [/x]", "AE", "'CATH [/x]'"),
        ("a\\b", "AE", "no legal AE (3 characters)"),
        ("\x1b[31m", "AE", "no legal AE (5 characters)"),
    ],
)
def test_a_value_is_quoted_where_it_is_one_of_its_representation(value: object, vr: str, shown: str) -> None:
    assert quoted(value, vr) == shown  # type: ignore[arg-type]


def test_a_list_below_a_sentence_stays_a_list_and_nothing_else_makes_lines() -> None:
    assert (
        printable_list("two are wrong:\n  a\x1b\n  b\nforged\n  c")
        == "two are wrong:\n  a\\x1b\n  b\\x0aforged\n  c"
    )


def test_a_uid_goes_by_its_name_where_it_has_one() -> None:
    assert uid_name("1.2.840.10008.1.2.4.50") == "'JPEG Baseline (Process 1)'"
    assert uid_name("1.2.3") == "'1.2.3'"
    assert uid_name("Doe^John") == "no legal UI (8 characters)"
    assert uid_name(None) == "absent or empty"
