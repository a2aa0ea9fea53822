"""The kind of frames that a bundle was trained on, as numbers: how far a frame's features lie from them.

Features are scaled by how training frames vary, taken along the main directions of training frames and
foreign pictures together (PCA), and whitened by the training frames (shrunk): z, k numbers. Two things tell
foreign pictures, one smooth and one local:

    linear    w · z' + v · log(|z|² / k) + b       logistic regression, L2, z' = z cut at ±REACH, v ≥ 0
    nearest   log(d_own / d_foreign)               squared distances of z' to the NEAREST-th training frame
                                                   and the NEAREST-th foreign picture

Each is brought to the same measure (0: the median of training frames that it was not fitted to, 1: their
quantile KEPT); their mean, measured so once more, is the score. A usual training frame scores 0, a frame at
the limit 1, whatever the bundle.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

DIRECTIONS = 96
"""Main directions that are kept, at most."""
REACH = 6.0
"""Standard deviations up to which a direction counts: one odd channel is not the whole picture."""
NEAREST = 4
"""Which neighbour's distance counts: fewer are chance."""
PARTS = 3
"""Parts of the training frames, of which each is judged by the others."""
KEPT = 0.9
"""Share of training frames, in all their variants, below the limit; of frames as they are it is more."""
FEWEST = 64
"""Training frames without which nothing is learnt of their kind."""
_FARTHEST = 8.0
"""Standard deviations at which a single feature is cut."""
_RIDGE = 0.02
"""Weight of the penalty, in frames."""
_SHRUNK = 0.02
"""Share of the mean variance that is added to each: directions that hardly vary must not shout."""


@dataclass(frozen=True)
class _Told:
    """How training frames are told from foreign pictures along main directions."""

    whitened: Array
    """(k, k) to whitened directions."""
    middle: Array
    """(k,) of the training frames, there."""
    weights: Array
    """(k + 2,): w, v, b."""
    own: Array
    """(N, k) training frames, whitened and cut."""
    foreign: Array
    """(M, k) foreign pictures, likewise."""

    def parts(self, z: Array) -> Array:
        """Linear and nearest part of whitened features (N, k): (N, 2)."""
        near = np.clip(z, -REACH, REACH)
        ratio = np.log(_distances(near, self.own) / _distances(near, self.foreign))
        return np.column_stack([_terms(z) @ self.weights, ratio])


@dataclass(frozen=True)
class DomainStatistics:
    """What is known of the kind."""

    mean: Array
    """(D,) of the training frames' features."""
    scale: Array
    """(D,) what each feature is divided by."""
    basis: Array
    """(D, k) to whitened directions."""
    middle: Array
    """(k,) of the training frames, there."""
    weights: Array
    """(k + 2,): w, v, b."""
    own: Array
    """(N, k) training frames, whitened and cut."""
    foreign: Array
    """(M, k) foreign pictures, likewise."""
    limits: Array
    """(3, 2): the usual value and the limit of the linear part, of the nearest part, and of their mean."""
    encoder_sha256: str
    """SHA-256 of the segmentor that the features are of, hexadecimal."""

    def scores(self, features: Array) -> Array:
        """Scores (N,) of features (N, D): 0 for a usual training frame, from 1 on foreign."""
        z = _scaled(features, self.mean, self.scale) @ self.basis - self.middle
        told = _Told(np.eye(0), self.middle, self.weights, self.own, self.foreign)
        return _measured(_measured(told.parts(z), self.limits[:2]).mean(axis=1), self.limits[2])

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """What a file of a bundle holds."""
        wide = {name: getattr(self, name).astype(kind) for name, kind in _ARRAYS.items()}
        encoder = np.frombuffer(bytes.fromhex(self.encoder_sha256), dtype=np.uint8)
        return {**wide, "encoder": encoder}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> DomainStatistics:
        """Read them back; raises ValueError where an array is missing or of another shape."""
        if missing := [name for name in (*_ARRAYS, "encoder") if name not in arrays]:
            raise ValueError(f"lacks {', '.join(missing)}")
        known = {name: arrays[name].astype(np.float64) for name in _ARRAYS}
        if known["basis"].ndim != 2:
            raise ValueError("has a basis that is no matrix")
        wide, k = known["basis"].shape
        few = {"own": len(known["own"]), "foreign": len(known["foreign"])}
        shapes = {"mean": (wide,), "scale": (wide,), "middle": (k,), "weights": (k + 2,), "limits": (3, 2)}
        shapes |= {name: (count, k) for name, count in few.items()}
        if wrong := [name for name, shape in shapes.items() if known[name].shape != shape]:
            raise ValueError(f"has {', '.join(wrong)} of another shape")
        if short := [name for name, count in few.items() if count < NEAREST]:
            raise ValueError(f"has fewer than {NEAREST} pictures in {', '.join(short)}")
        if not (known["limits"][:, 1] > known["limits"][:, 0]).all():
            raise ValueError("has a limit that is not above what is usual")
        return cls(**known, encoder_sha256=arrays["encoder"].astype(np.uint8).tobytes().hex())


_ARRAYS: Mapping[str, type[np.floating[Any]]] = {
    **dict.fromkeys(("mean", "scale", "middle", "weights"), np.float32),
    **dict.fromkeys(("basis", "own", "foreign"), np.float16),
    "limits": np.float64,
}
"""Numbers of each array in a file."""


def fit_statistics(own: Array, foreign: Array, encoder_sha256: str) -> DomainStatistics:
    """Learn the kind of frames.

    Parameters
    ----------
    own
        Features (N, D) of training frames and variants of them; those of one run stand beside each other.
    foreign
        Features (M, D) of pictures of other kinds.
    encoder_sha256
        Of the segmentor that gave them.

    Raises
    ------
    ValueError
        There are fewer than `FEWEST` training frames, or hardly a foreign picture.
    """
    if len(own) < FEWEST or len(foreign) < NEAREST:
        found = f"{len(own)} training frames and {len(foreign)} foreign ones"
        raise ValueError(f"{found}, want at least {FEWEST} and {NEAREST}")
    mean, spread = own.mean(axis=0), own.std(axis=0)
    scale = spread + 0.05 * float(spread.mean()) + 1e-9
    everything = _scaled(np.concatenate([own, foreign]), mean, scale)
    directions = _directions(everything, min(DIRECTIONS, len(own) // 4))
    at = everything @ directions
    ours, theirs = at[: len(own)], at[len(own) :]
    left_out = []
    for part in np.array_split(np.arange(len(own)), PARTS):
        told = _told_apart(np.delete(ours, part, axis=0), theirs)
        left_out.append(told.parts(ours[part] @ told.whitened - told.middle))
    parts = np.concatenate(left_out)
    limits = np.quantile(parts, (0.5, KEPT), axis=0).T
    together = np.quantile(_measured(parts, limits).mean(axis=1), (0.5, KEPT))
    told = _told_apart(ours, theirs)
    return DomainStatistics(
        mean,
        scale,
        directions @ told.whitened,
        told.middle,
        told.weights,
        told.own,
        told.foreign,
        np.vstack([limits, together]),
        encoder_sha256,
    )


def _measured(values: Array, limits: Array) -> Array:
    """Values on the scale of which `limits` (..., 2) are 0 and 1."""
    return np.asarray((values - limits[..., 0]) / np.maximum(limits[..., 1] - limits[..., 0], 1e-9))


def _scaled(features: Array, mean: Array, scale: Array) -> Array:
    return np.clip((features - mean) / scale, -_FARTHEST, _FARTHEST)


def _terms(z: Array) -> Array:
    """What is summed up of whitened features (N, k): (N, k + 2)."""
    distance = np.log(np.maximum((z**2).mean(axis=1), 1e-6))
    return np.column_stack([np.clip(z, -REACH, REACH), distance, np.ones(len(z))])


def _distances(z: Array, others: Array) -> Array:
    """Squared distance (N,) of each of (N, k) from its NEAREST-th neighbour of (M, k)."""
    squared = (z**2).sum(axis=1)[:, None] + (others**2).sum(axis=1) - 2 * z @ others.T
    nearest = np.partition(squared, NEAREST - 1, axis=1)[:, NEAREST - 1]
    return np.asarray(np.maximum(nearest, 1e-3))


def _directions(everything: Array, count: int) -> Array:
    """Main directions (D, k) of scaled features (N, D), by the smaller of the two products."""
    rows, columns = everything.shape
    if columns <= rows:
        _, vectors = np.linalg.eigh(everything.T @ everything)
        return np.asarray(vectors[:, ::-1][:, :count])
    _, vectors = np.linalg.eigh(everything @ everything.T)
    along = everything.T @ vectors[:, ::-1][:, :count]
    return np.asarray(along / (np.linalg.norm(along, axis=0) + 1e-12))


def _told_apart(own: Array, foreign: Array) -> _Told:
    """Whiten by the training frames; logistic regression by Newton's steps, both kinds weighing the same."""
    values, vectors = np.linalg.eigh(np.cov(own, rowvar=False))
    whitened = vectors / np.sqrt(np.maximum(values, 0) + _SHRUNK * float(values.mean()) + 1e-9)
    middle = own.mean(axis=0) @ whitened
    ours, theirs = own @ whitened - middle, foreign @ whitened - middle
    x = np.concatenate([_terms(ours), _terms(theirs)])
    y = np.repeat([0.0, 1.0], [len(own), len(foreign)])
    share = np.where(y > 0, 0.5 / len(foreign), 0.5 / len(own))
    penalty = np.append(np.full(x.shape[1] - 2, _RIDGE), [1e-4, 1e-4])
    w = np.zeros(x.shape[1])
    for _ in range(20):
        p = 1 / (1 + np.exp(-np.clip(x @ w, -30, 30)))
        curvature = (x * (share * p * (1 - p))[:, None]).T @ x + np.diag(penalty)
        step = np.linalg.solve(curvature, x.T @ (share * (p - y)) + penalty * w)
        w = w - step
        w[-2] = max(float(w[-2]), 0.0)
        if float(np.abs(step).max()) < 1e-6:
            break
    return _Told(whitened, middle, w, np.clip(ours, -REACH, REACH), np.clip(theirs, -REACH, REACH))
