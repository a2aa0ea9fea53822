"""What is kept for evaluation: no group on both sides, the same draw whatever the order of files."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from casgan_dicom.errors import ConfigError
from casgan_dicom.model.data import Domains, FrameSet
from casgan_dicom.model.split import split


def frames_of(groups: Sequence[str]) -> FrameSet:
    """Two frames of each group; every pixel of a frame says which one it is."""
    keys = np.repeat(np.array(groups), 2)
    numbers = np.arange(len(keys), dtype=np.uint16)
    stored = np.broadcast_to(numbers[:, None, None], (len(keys), 4, 4)).copy()
    levels = np.stack([numbers, numbers + 1], axis=1).astype(np.float32)
    return FrameSet(stored, levels, stored + 1, stored % 2 == 0, keys)


def groups_of(frames: FrameSet | None) -> set[str]:
    assert frames is not None
    assert frames.groups is not None
    return set(frames.groups.tolist())


def numbered(*letters: str, n: int = 10) -> list[str]:
    return [f"{letter}{k}" for letter in letters for k in range(n)]


@pytest.mark.parametrize(("share", "kept"), [(0.2, 2), (0.01, 1), (0.25, 2), (0.5, 5), (0.99, 9)])
def test_the_share_of_groups_is_kept_and_at_least_one_stays_on_each_side(share: float, kept: int) -> None:
    training, evaluation = split(Domains(frames_of(numbered("x")), frames_of(numbered("y"))), share, 1)
    for name, side in (("x", evaluation.x), ("y", evaluation.y)):
        assert len(groups_of(side)) == kept
        assert all(group.startswith(name) for group in groups_of(side))
    assert len(training.x) == len(training.y) == 2 * (10 - kept)
    assert training.labelled is evaluation.labelled is None


@given(
    x=st.sets(st.sampled_from(numbered("p")), min_size=2),
    y=st.sets(st.sampled_from(numbered("p")), min_size=2),
    labelled=st.none() | st.sets(st.sampled_from(numbered("p")), min_size=2),
    share=st.floats(0.05, 0.6),
    seed=st.integers(0, 100),
)
def test_no_group_stands_on_both_sides_and_none_is_lost(
    x: set[str], y: set[str], labelled: set[str] | None, share: float, seed: int
) -> None:
    third = None if labelled is None else frames_of(sorted(labelled))
    domains = Domains(frames_of(sorted(x)), frames_of(sorted(y)), third)
    try:
        training, evaluation = split(domains, share, seed)
    except ConfigError as error:  # few groups, shared crosswise
        assert "would have nothing to" in error.message  # noqa: PT017 - the error is one of two outcomes
        return
    seen, kept = set[str](), set[str]()
    for name, whole in (("x", x), ("y", y), ("labelled", labelled)):
        if whole is None:
            assert getattr(training, name) is getattr(evaluation, name) is None
            continue
        left, right = groups_of(getattr(training, name)), groups_of(getattr(evaluation, name))
        assert left
        assert right
        assert left | right == whole
        seen |= left
        kept |= right
    assert not seen & kept


def test_frames_keep_their_levels_twins_and_masks() -> None:
    domains = Domains(frames_of(numbered("x")), frames_of(numbered("y")))
    for side in split(domains, 0.3, 5):
        for part in (side.x, side.y):
            assert part.twins is not None
            assert part.masks is not None
            assert part.groups is not None
            numbers = part.frames[:, 0, 0]
            np.testing.assert_array_equal(part.levels[:, 0], numbers)
            np.testing.assert_array_equal(part.twins[:, 0, 0], numbers + 1)
            np.testing.assert_array_equal(part.masks[:, 0, 0], numbers % 2 == 0)
            assert [int(group[1:]) for group in part.groups] == (numbers // 2).tolist()


def test_the_order_of_files_changes_nothing() -> None:
    names = numbered("p", "q")
    shuffled = [str(name) for name in np.random.default_rng(0).permutation(names)]
    _, one = split(Domains(frames_of(names), frames_of(names)), 0.3, 4)
    _, other = split(Domains(frames_of(shuffled), frames_of(shuffled)), 0.3, 4)
    assert groups_of(one.x) == groups_of(other.x)
    assert groups_of(one.y) == groups_of(one.x)


def test_another_seed_keeps_others() -> None:
    domains = Domains(frames_of(numbered("x")), frames_of(numbered("y")))
    draws = {frozenset(groups_of(split(domains, 0.3, seed)[1].x)) for seed in range(20)}
    assert len(draws) > 10  # 20 draws of 120 possible triples: 10 or fewer different ones never happens
    assert groups_of(split(domains, 0.3, 3)[1].x) == groups_of(split(domains, 0.3, 3)[1].x)


def test_one_group_cannot_be_divided() -> None:
    with pytest.raises(ConfigError, match="domain y has 1 series or patient, want at least 2") as caught:
        split(Domains(frames_of(["a", "b"]), frames_of(["a"])), 0.5, 1)
    assert "sub-folder" in caught.value.hint


def test_groups_shared_crosswise_that_leave_a_side_empty_are_refused() -> None:
    """Each pair of three patients is a domain: one or two held out always empty a side of some domain."""
    domains = Domains(frames_of(["a", "b"]), frames_of(["b", "c"]), frames_of(["a", "c"]))
    with pytest.raises(ConfigError, match=r"would have nothing to (train|be evaluated) on"):
        split(domains, 0.5, 1)


def test_simulated_frames_have_no_groups() -> None:
    plain = dataclasses.replace(frames_of(["a", "b"]), groups=None)
    with pytest.raises(ConfigError, match="series or patient is known"):
        split(Domains(plain, plain), 0.5, 1)


@pytest.mark.parametrize("share", [0.0, 1.0, -0.1, float("nan")])
def test_a_share_that_is_none_is_refused(share: float) -> None:
    domains = Domains(frames_of(["a", "b"]), frames_of(["a", "b"]))
    with pytest.raises(ConfigError, match=r"data\.held_out is"):
        split(domains, share, 1)
