"""What is kept for evaluation: no group on both sides, and none that changes sides when others come or go."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from casgan_dicom.errors import ConfigError
from casgan_dicom.model.data.frames import Series
from casgan_dicom.model.data.split import is_held_out, one_side
from casgan_dicom.model.settings import DataSettings

FRAME = np.zeros((1, 4, 4), np.float32)


def series_of(patients: Iterable[str], each: int = 2) -> list[Series]:
    """Some series of each patient."""
    return [Series(FRAME, f"{patient} {k}", patient) for patient in patients for k in range(each)]


def both_sides(series: Sequence[Series], data: DataSettings) -> tuple[list[str], list[str]]:
    """Keys of what training sees, and of what is kept from it."""
    training, evaluation = (list(one_side(series, "x", data, evaluation=e)) for e in (False, True))
    return [one.key for one in training], [one.key for one in evaluation]


def test_about_the_share_is_held_out() -> None:
    """1,000 groups: more than five standard deviations off never happens."""
    names = [f"p{k}" for k in range(1000)]
    for share in (0.1, 0.2, 0.5, 0.9):
        kept = sum(is_held_out(name, share, 1) for name in names)
        assert abs(kept - 1000 * share) < 5 * (1000 * share * (1 - share)) ** 0.5
    assert not any(is_held_out(name, 0.0, 1) for name in names)


@given(
    share=st.floats(0.05, 0.95),
    seed=st.integers(0, 100),
    names=st.sets(st.sampled_from([f"p{k}" for k in range(30)]), min_size=1),
)
def test_every_patient_stands_on_one_side_whoever_else_is_there(
    share: float, seed: int, names: set[str]
) -> None:
    data = DataSettings(held_out=share, split_seed=seed)
    try:
        training, evaluation = both_sides(series_of(sorted(names)), data)
    except ConfigError as error:  # few patients, all of them on one side
        assert "would have nothing to" in error.message  # noqa: PT017 - the error is one of two outcomes
        return
    assert sorted([*training, *evaluation]) == sorted(one.key for one in series_of(names))
    assert {key.split()[0] for key in evaluation} == {
        name for name in names if is_held_out(name, share, seed)
    }
    assert {key.split()[0] for key in training}.isdisjoint(key.split()[0] for key in evaluation)


def test_series_of_one_patient_may_be_divided_when_series_are_what_counts() -> None:
    series = series_of(["p"], each=20)
    training, evaluation = both_sides(series, DataSettings(held_out=0.5, split_by="series"))
    assert training
    assert evaluation
    assert sorted([*training, *evaluation]) == sorted(one.key for one in series)


def test_another_seed_keeps_others() -> None:
    names = [f"p{k}" for k in range(10)]
    draws = {frozenset(name for name in names if is_held_out(name, 0.3, seed)) for seed in range(20)}
    assert len(draws) > 10


def test_without_a_share_both_sides_are_all() -> None:
    series = series_of(["a"])
    assert both_sides(series, DataSettings()) == ([one.key for one in series],) * 2


@pytest.mark.parametrize("evaluation", [False, True])
@pytest.mark.parametrize(("share", "lacking"), [(0.001, "be evaluated on"), (0.999, "train on")])
def test_a_side_that_stays_empty_is_an_error_of_both(share: float, lacking: str, evaluation: bool) -> None:
    data = DataSettings(held_out=share)
    with pytest.raises(
        ConfigError, match=rf"of 2 patients domain y would have nothing to {lacking}"
    ) as caught:
        list(one_side(series_of(["a", "b"]), "y", data, evaluation=evaluation))
    assert "data.split_seed" in caught.value.hint


def test_an_empty_domain_is_not_the_fault_of_the_split() -> None:
    """Who reads it says so."""
    assert list(one_side([], "x", DataSettings(held_out=0.5), evaluation=False)) == []
