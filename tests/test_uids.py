"""UIDs that depend on the content and on nothing else."""

from __future__ import annotations

import itertools
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casgan_dicom.uids import IMPLEMENTATION_CLASS_UID, derived_uid, is_uid, model_uid, series_uid, sop_uid

SERIES = ("1.2.3", "patient and study", "ab" * 32, "0.1.0", "trained on simulation", "mf-gray8")
INSTANCE = ("2.25.1", "1.2.3.4", "cd" * 32)


def test_golden_uids_never_change() -> None:
    """If one of these changes, everything that was ever sent would be sent again under another name."""
    assert series_uid(*SERIES) == "2.25.214778043536084612370240237706390961424"
    assert sop_uid(*INSTANCE) == "2.25.230609457031480747410534205408697420025"
    assert IMPLEMENTATION_CLASS_UID == "2.25.32711263004242294067659682225943579525"


@given(st.text(max_size=200), st.text(max_size=200))
def test_every_uid_is_legal_and_holds_a_version_5_uuid(purpose: str, part: str) -> None:
    made = derived_uid(purpose, part)

    assert made.is_valid
    assert len(made) <= 44
    assert uuid.UUID(int=int(made.removeprefix("2.25."))).version == 5


def test_neighbouring_parts_are_kept_apart() -> None:
    assert derived_uid("x", "ab", "c") != derived_uid("x", "a", "bc")
    assert derived_uid("x", "a,b") != derived_uid("x", "a", "b")
    assert derived_uid("x", "1") != derived_uid("x", 1)


@pytest.mark.parametrize("position", range(len(SERIES)))
def test_series_uid_changes_with_every_part(position: int) -> None:
    other = list(SERIES)
    other[position] += "1"

    assert series_uid(*other) != series_uid(*SERIES)


@pytest.mark.parametrize("position", range(len(INSTANCE)))
def test_sop_uid_changes_with_every_part(position: int) -> None:
    other = list(INSTANCE)
    other[position] += "1"

    assert sop_uid(*other) != sop_uid(*INSTANCE)


def test_kinds_of_uids_never_meet() -> None:
    uids = [model_uid("a", "b"), derived_uid("series", "a", "b"), derived_uid("instance", "a", "b")]

    assert all(one != other for one, other in itertools.combinations(uids, 2))


@pytest.mark.parametrize(
    ("text", "legal"),
    [
        ("1", True),
        ("1.2.840.10008", True),
        ("1" * 64, True),
        ("1" * 65, False),
        ("", False),
        ("..", False),
        (".", False),
        ("1..2", False),
        ("1.", False),
        (".1", False),
        ("1/2", False),
        ("1.2\n", False),
        ("１.２", False),
    ],
)
def test_uid_is_digits_with_single_dots_between(text: str, legal: bool) -> None:
    assert is_uid(text) is legal
