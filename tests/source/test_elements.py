"""Values of elements as plain Python."""

from __future__ import annotations

import pytest
from pydicom.valuerep import IS

from casgan_dicom.source.elements import integer, plain, written_integer


@pytest.mark.parametrize(
    ("value", "number"), [(3, 3), (3.7, 3), (float("inf"), 0), (10**400, 10**400), ("3", 0), (None, 0)]
)
def test_what_is_no_number_is_0(value: object, number: int) -> None:
    assert integer(value) == number


@pytest.mark.parametrize(
    ("value", "number"), [(3, 3), (IS("3"), 3), (-3, -3), (3.7, 0), (3.0, 0), ("3", 0), (None, 0)]
)
def test_what_is_not_written_as_an_integer_is_0(value: object, number: int) -> None:
    assert written_integer(value) == number


def test_numbers_of_any_size_can_be_compared() -> None:
    assert plain(1) == plain(1.0)
    assert plain(10**400) != plain(10**400 + 1)
    assert plain(float("nan")) == plain(float("nan"))
    assert plain("") == plain(None) == plain([])
