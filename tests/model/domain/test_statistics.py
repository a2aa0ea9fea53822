"""What a bundle knows of the kind of its frames: who is usual, who is foreign, and what a file says of it."""

from __future__ import annotations

import numpy as np
import pytest

from casgan_dicom.model.domain.statistics import KEPT, DomainStatistics, fit_statistics

SHA256 = "ab" * 32


def drawn(seed: int, count: int, shift: float = 0.0) -> np.ndarray:
    """Features of 12 numbers, of which the first three are correlated; `shift` moves two of them."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(count, 12))
    features[:, 1:3] += 2 * features[:, :1]
    features[:, 4:6] += shift
    return features


@pytest.fixture(scope="module")
def statistics() -> DomainStatistics:
    return fit_statistics(drawn(1, 600), drawn(2, 300, shift=4.0), SHA256)


def test_frames_of_the_kind_score_low_and_a_known_other_kind_high(statistics: DomainStatistics) -> None:
    own, foreign = statistics.scores(drawn(3, 1000)), statistics.scores(drawn(4, 1000, shift=4.0))

    assert abs(float(np.median(own))) < 0.2
    assert float((own < 1).mean()) > KEPT - 0.03
    assert float((foreign >= 1).mean()) > 0.98


def test_a_kind_that_nobody_showed_is_foreign_by_its_distance(statistics: DomainStatistics) -> None:
    """Against the correlation of the first features, where the known foreign kind does not lie."""
    odd = drawn(5, 500)
    odd[:, 1] -= 12 * np.sign(odd[:, 0])

    assert float((statistics.scores(odd) >= 1).mean()) > 0.9


def test_what_a_file_holds_judges_alike(statistics: DomainStatistics) -> None:
    read = DomainStatistics.from_arrays(statistics.arrays())

    some = drawn(6, 50, shift=1.0)
    np.testing.assert_allclose(read.scores(some), statistics.scores(some), atol=0.02)  # float16 in the file
    assert read.encoder_sha256 == SHA256


@pytest.mark.parametrize("name", ["mean", "scale", "basis", "middle", "weights", "own", "limits", "encoder"])
def test_a_file_that_lacks_an_array_is_named(statistics: DomainStatistics, name: str) -> None:
    arrays = {key: value for key, value in statistics.arrays().items() if key != name}

    with pytest.raises(ValueError, match=f"lacks {name}"):
        DomainStatistics.from_arrays(arrays)


def test_arrays_that_do_not_fit_each_other_are_named(statistics: DomainStatistics) -> None:
    with pytest.raises(ValueError, match="weights of another shape"):
        DomainStatistics.from_arrays(statistics.arrays() | {"weights": np.zeros(3, np.float32)})
    with pytest.raises(ValueError, match="not above"):
        DomainStatistics.from_arrays(statistics.arrays() | {"limits": np.ones((3, 2))})


def test_too_few_frames_teach_nothing() -> None:
    with pytest.raises(ValueError, match="20 training frames"):
        fit_statistics(drawn(1, 20), drawn(2, 50), SHA256)
