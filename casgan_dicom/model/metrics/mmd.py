"""Maximum mean discrepancy between two sets of feature vectors (Gretton et al. 2012), unbiased.

    MMD² = mean of k(a_i, a_j) over i ≠ j  +  mean of k(b_i, b_j) over i ≠ j  -  2 · mean of k(a_i, b_j)

Over the whole sets, of N and M frames, not over random subsets. Its expectation is 0 for equal distributions
at every N and M, so a single value may be negative. Two kernels:

    mmd_poly   k(a, b) = (a·b / D + 1)³                  the kernel of KID (Bińkowski et al. 2018)
    mmd_rbf    k(a, b) = exp(-|a - b|² / (2 σ²))         σ: the median distance within the real set

"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from casgan_dicom.errors import ConfigError
from casgan_dicom.model.metrics.frechet import Features, checked, checked_pair

Rows = npt.NDArray[np.float64]
Kernel = Callable[[Rows, Rows], Rows]
"""Rows (n, D) and (m, D) to kernel values (n, m)."""

BLOCK = 1024
"""Rows of the kernel matrix held at a time: 10,000 frames need 80 MB, not 800 MB."""
MEDIAN_ROWS = 2000
"""Frames that the median distance is taken over, spread evenly over a larger set."""


def mmd_poly(a: Features, b: Features) -> float:
    """MMD² with the cubic kernel of KID, unbiased.

    `a` float (N, D), `b` float (M, D), N and M at least 2; symmetric in them. Raises ValueError when the
    shapes do not fit, ConfigError for fewer than 2 frames or features that are not finite.
    """
    a, b = checked_pair(a, b)
    dimensions = a.shape[1]

    def kernel(rows: Rows, others: Rows) -> Rows:
        values: Rows = (rows @ others.T / dimensions + 1) ** 3
        return values

    return _mmd(a, b, kernel)


def mmd_rbf(generated: Features, real: Features, bandwidth: float | None = None) -> float:
    """MMD² with a Gaussian kernel, unbiased.

    Parameters
    ----------
    generated, real
        Features, float (N, D) and (M, D); N and M at least 2.
    bandwidth
        σ of the kernel, in units of the features; None: `median_bandwidth` of `real`. Values are comparable
        at one bandwidth only, so give that of the whole reference set where part of it is compared.

    Raises
    ------
    ValueError
        The shapes do not fit, or `bandwidth` is not above 0.
    ConfigError
        A set has fewer than 2 frames, a feature is not finite, or all real frames are equal.
    """
    generated, real = checked_pair(generated, real)
    sigma = median_bandwidth(real) if bandwidth is None else bandwidth
    if not (np.isfinite(sigma) and sigma > 0):
        raise ValueError(f"bandwidth is {sigma}, want a number above 0")
    middle = real.mean(axis=0)  # differences of small numbers lose fewer digits

    def kernel(rows: Rows, others: Rows) -> Rows:
        values: Rows = np.exp(-_squared_distances(rows, others) / (2 * sigma**2))
        return values

    return _mmd(generated - middle, real - middle, kernel)


def median_bandwidth(real: Features) -> float:
    """Median of the distances |r_i - r_j|, i < j, within the real set alone; (M, D), M at least 2.

    Never of the generated set: a bandwidth that moves with the thing it measures cannot rank methods.
    Of more than `MEDIAN_ROWS` frames, that many are taken, evenly spread. Raises as `mmd_rbf`.
    """
    rows = checked(real)
    rows = rows[np.linspace(0, len(rows) - 1, min(len(rows), MEDIAN_ROWS)).round().astype(int)]
    centred = rows - rows.mean(axis=0)
    sigma = float(np.sqrt(np.median(_squared_distances(centred, centred)[np.triu_indices(len(rows), k=1)])))
    rounding = 1e-7 * np.linalg.norm(centred, axis=1).max() + 1e-12 * np.linalg.norm(rows, axis=1).max()
    if sigma <= rounding:  # what is left of the distance between equal frames
        raise ConfigError(
            "half of the pairs of real frames or more are equal, so that the kernel has no bandwidth",
            hint="pass a reference set of different frames",
        )
    return sigma


def _mmd(a: Rows, b: Rows, kernel: Kernel) -> float:
    """The unbiased estimate, from sums of kernel values."""
    within = [_off_diagonal_mean(rows, kernel) for rows in (a, b)]
    across = sum(float(kernel(a[start : start + BLOCK], b).sum()) for start in range(0, len(a), BLOCK))
    return sum(within) - 2 * across / (len(a) * len(b))


def _off_diagonal_mean(rows: Rows, kernel: Kernel) -> float:
    """Mean of k(r_i, r_j) over i ≠ j."""
    total = 0.0
    for start in range(0, len(rows), BLOCK):
        values = kernel(rows[start : start + BLOCK], rows)
        total += float(values.sum() - np.diagonal(values, offset=start).sum())
    return total / (len(rows) * (len(rows) - 1))


def _squared_distances(rows: Rows, others: Rows) -> Rows:
    """|r_i - o_j|², (n, m)."""
    lengths = (rows**2).sum(axis=1)[:, None] + (others**2).sum(axis=1)[None]
    distances: Rows = np.maximum(lengths - 2 * rows @ others.T, 0)
    return distances
