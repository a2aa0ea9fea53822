"""Trees on the unit heart: what travels with a bundle is what is drawn."""

from __future__ import annotations

import numpy as np
import pytest

from casgan_dicom.model.atlas.landmarks import PLACES
from casgan_dicom.model.atlas.library import TREES, Library, UnitTree, grow_library
from tests.model.atlas.readings import small_library


def alike(one: UnitTree, other: UnitTree) -> bool:
    same = (np.array_equal(a, b) for a, b in ((one.points, other.points), (one.radius, other.radius)))
    rest = np.array_equal(one.segment, other.segment), one.system == other.system
    return all((*same, *rest, np.array_equal(one.landmarks, other.landmarks, equal_nan=True)))


def test_a_library_comes_back_from_its_arrays_to_the_last_bit() -> None:
    library = small_library()
    again = Library.from_arrays(library.arrays())
    assert len(again.trees) == len(library.trees) == 16
    assert all(alike(one, other) for one, other in zip(library.trees, again.trees, strict=True))


def test_the_same_seed_grows_the_same_trees_and_another_seed_others() -> None:
    one, same, other = grow_library(5, 1), grow_library(5, 1), grow_library(6, 1)
    assert all(alike(a, b) for a, b in zip(one.trees, same.trees, strict=True))
    assert not any(alike(a, b) for a, b in zip(one.trees, other.trees, strict=True))


def test_a_library_of_all_trees_is_smaller_than_three_megabytes() -> None:
    library = small_library()
    size = sum(array.nbytes for array in library.arrays().values())
    assert size / len(library.trees) * 2 * TREES < 3e6


def test_trees_lie_on_the_unit_heart_and_begin_at_their_ostium() -> None:
    for tree in small_library().trees:
        assert np.linalg.norm(tree.points, axis=1).max() < 1.25  # a loop may stand off the surface
        # Points are kept with half the precision of landmarks: 0.0005 near 1.
        np.testing.assert_allclose(tree.points[0], tree.landmarks[0], atol=1e-3)
        assert tree.landmarks.shape == (len(PLACES[tree.system]), 3)


def test_no_tree_has_a_narrowing() -> None:
    """A vessel tapers, and its wall is a little uneven; the simulator's trees have lesions beside that."""
    for tree in small_library().trees:
        for number in range(tree.segment.max() + 1):
            radius = tree.radius[tree.segment == number]
            least = np.minimum.accumulate(radius)
            assert (radius <= 1.25 * least).all()


def test_numbers_of_an_artery_are_those_of_its_trees() -> None:
    library = small_library()
    assert library.numbers("LCA") == tuple(range(8))
    assert {library.trees[k].system for k in library.numbers("RCA")} == {"RCA"}


def test_arrays_that_lack_one_or_contradict_each_other_are_no_library() -> None:
    arrays = small_library().arrays()
    with pytest.raises(ValueError, match="lacks the arrays radius, right"):
        Library.from_arrays({name: a for name, a in arrays.items() if name not in ("radius", "right")})
    with pytest.raises(ValueError, match="contradict"):
        Library.from_arrays(arrays | {"points": arrays["points"][1:]})
