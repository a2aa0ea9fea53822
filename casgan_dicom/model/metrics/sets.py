"""Distances between a set of generated and a set of real frames, each beside what two real sets score.

A Fréchet distance grows as the sets get smaller, so it says nothing without the number of frames and without
the floor: the same distance between two sets of real frames. Both travel with every score here. No such
distance sees that a vessel lies in the wrong place; `vessels` does.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from casgan_dicom.errors import ConfigError
from casgan_dicom.model.metrics.frechet import Features, checked_pair, frechet_distance
from casgan_dicom.model.metrics.mmd import median_bandwidth, mmd_poly, mmd_rbf


@dataclass(frozen=True)
class SetScores:
    """Distances of one set of generated frames to the real ones, and the floor below them."""

    score_name: str
    """What `fd` is called: "FID" with FID's own network only, else such as "FD-EffLite0"."""
    fd: float
    """Fréchet distance, generated to real, all frames."""
    mmd_poly_x10: float
    """Ten times the unbiased MMD² with the kernel of KID; around 0 for equal distributions."""
    mmd_rbf_x10: float
    """Ten times the unbiased MMD² with a Gaussian kernel, σ the median distance within the real set."""
    n_generated: int
    """Frames of the generated set."""
    n_real: int
    """Frames of the real set."""
    floor_fd: float
    """Fréchet distance between two real sets of the sizes `n_floor`: compare `fd_at_floor` with it."""
    floor_mmd_poly_x10: float
    """As `mmd_poly_x10`, between the two real sets."""
    floor_mmd_rbf_x10: float
    """As `mmd_rbf_x10`, between the two real sets, with the same σ."""
    n_floor: tuple[int, int]
    """Frames of the two real sets."""
    fd_at_floor: float
    """Fréchet distance of so many generated and real frames as `n_floor` says, drawn at random."""


def compare_sets(
    generated: Features,
    real: Features,
    score_name: str,
    *,
    second_real: Features | None = None,
    seed: int = 0,
) -> SetScores:
    """Score a generated set against a real one.

    Parameters
    ----------
    generated, real
        Features of one extractor, float (N, D) and (M, D).
    score_name
        `score_name` of that extractor.
    second_real
        Features of other real frames, best of other patients, float (K, D): the floor compares these with
        `real`. None: the floor compares two random halves of `real`, which flatters reality where
        neighbouring frames of one run come to lie in both.
    seed
        Of the random draws.

    Returns
    -------
    SetScores
        The first set of the floor is never larger than the generated set, so that a small generated set is
        measured against an equally small real one.

    Raises
    ------
    ValueError
        The features do not fit each other.
    ConfigError
        A set has fewer than 2 frames (`real` 4 without `second_real`), a feature is not finite, or all real
        frames are equal.
    """
    generated, real = checked_pair(generated, real)
    one, other = _floor_sets(real, second_real, np.random.default_rng([seed, 0]))
    one = one[: len(generated)]
    drawn = np.random.default_rng([seed, 1]).permutation(len(generated))[: len(one)]
    sigma = median_bandwidth(real)
    return SetScores(
        score_name=score_name,
        fd=frechet_distance(generated, real),
        mmd_poly_x10=10 * mmd_poly(generated, real),
        mmd_rbf_x10=10 * mmd_rbf(generated, real, sigma),
        n_generated=len(generated),
        n_real=len(real),
        floor_fd=frechet_distance(one, other),
        floor_mmd_poly_x10=10 * mmd_poly(one, other),
        floor_mmd_rbf_x10=10 * mmd_rbf(one, other, sigma),
        n_floor=(len(one), len(other)),
        fd_at_floor=frechet_distance(generated[drawn], other),
    )


def _floor_sets(
    real: Features, second: Features | None, chance: np.random.Generator
) -> tuple[Features, Features]:
    """The two real sets of the floor; the first in random order, so that its head is a fair draw."""
    if second is not None:
        return second[chance.permutation(len(second))], real
    if len(real) < 4:
        raise ConfigError(
            f"{len(real)} real frames cannot be split into two sets, want at least 4",
            hint="pass more real frames; some hundred give a floor that means something",
        )
    order = chance.permutation(len(real))
    half = len(real) // 2
    return real[order[:half]], real[order[half : 2 * half]]
