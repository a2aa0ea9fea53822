"""Fréchet distance between two sets of feature vectors (Heusel et al. 2017, "FID").

Each set is taken for a Gaussian with its own mean μ and covariance Σ (divisor N - 1):

    d² = |μ_a - μ_b|² + Tr(Σ_a + Σ_b - 2 (Σ_a Σ_b)^½)

With the centred rows A of set a over √(N - 1), and B likewise, Σ_a = AᵀA and Σ_b = BᵀB. The eigenvalues of
Σ_a Σ_b are then the squared singular values of A·Bᵀ, so the trace of the root is the nuclear norm of A·Bᵀ:
real and never negative, where a root of the product of two singular matrices may be neither.

The estimate is biased: it grows as N falls, for equal distributions too (Chong & Forsyth 2020). Compare
numbers at one N only, and beside the number for two sets of real frames.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from casgan_dicom.errors import ConfigError

Features = npt.NDArray[np.floating]
"""One feature vector a frame, (N, D)."""


def frechet_distance(a: Features, b: Features) -> float:
    """Squared Fréchet distance of the Gaussians fitted to two sets.

    Parameters
    ----------
    a, b
        Features, float (N, D) and (M, D); N and M at least 2, they may differ.

    Returns
    -------
    float
        Not below 0, in squared units of the features.

    Raises
    ------
    ValueError
        `a` or `b` is not (N, D), or their D differ.
    ConfigError
        A set has fewer than 2 frames, or a feature is NaN or infinite.
    """
    a, b = checked_pair(a, b)
    root_a, root_b = _root(a), _root(b)
    between = float(np.sum((a.mean(axis=0) - b.mean(axis=0)) ** 2))
    within = float(np.sum(root_a**2) + np.sum(root_b**2))  # the two traces
    shared = float(np.linalg.svd(root_a @ root_b.T, compute_uv=False).sum())
    return max(0.0, between + within - 2 * shared)  # rounding may leave -1e-12 for equal sets


def checked_pair(a: Features, b: Features) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Two sets of features as float64; raises what `frechet_distance` raises."""
    a, b = checked(a), checked(b)
    if a.shape[1] != b.shape[1]:
        raise ValueError(f"features of {a.shape[1]} and of {b.shape[1]} dimensions cannot be compared")
    return a, b


def checked(features: Features) -> npt.NDArray[np.float64]:
    """One set of features as float64; raises ValueError and ConfigError as `frechet_distance` does."""
    if features.ndim != 2 or features.shape[1] == 0:
        raise ValueError(f"features have shape {features.shape}, want (N, D)")
    if len(features) < 2:
        raise ConfigError(
            f"a set of {len(features)} frames has no spread, want at least 2",
            hint="a distance between sets means something from some hundred frames on",
        )
    values = features.astype(np.float64)
    if not (finite := np.isfinite(values).all(axis=1)).all():
        raise ConfigError(
            f"features of {int((~finite).sum())} of {len(values)} frames are not finite",
            hint="look at the frames: a generator that diverged draws such values",
        )
    return values


def _root(features: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """R (min(N, D), D) with RᵀR = the covariance of `features`."""
    root: npt.NDArray[np.float64] = (features - features.mean(axis=0)) / np.sqrt(len(features) - 1)
    if len(root) > root.shape[1]:
        root = np.asarray(np.linalg.qr(root, mode="r"))  # as good a root, and smaller
    return root
