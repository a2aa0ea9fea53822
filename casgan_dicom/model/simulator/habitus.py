"""Another body out of one CT: a smooth map from a patient's points to the CT's, and back.

patient → heart turned and resized in its place → diaphragm higher or lower → spine curved → everything
slightly wavy → build and posture of the whole → CT. Patient millimetres about the isocentre (geometry.py),
CT millimetres about the centre of the CT's heart. Every step is weak enough that nothing folds.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from casgan_dicom.model.simulator.geometry import Array

_HEART_REACH_MM = 74.0
_DIAPHRAGM_MM = -38.0  # its height beside the heart
_BACK_MM = 40.0  # y from which the spine's curve is followed
_ROUNDS = 30  # each at least halves the error


@dataclass(frozen=True)
class Waves:
    """A smooth random displacement: a few plane waves."""

    vectors: Array
    """(count, 3), radians per mm."""
    ways: Array
    """(count, 3), mm."""
    phases: Array
    """(count,), radians."""

    @classmethod
    def sample(cls, rng: np.random.Generator, count: int = 6) -> Waves:
        """Draw waves of 130 to 300 mm that move tissue by about 5 mm."""
        direction = rng.standard_normal((count, 3))
        direction /= np.linalg.norm(direction, axis=1, keepdims=True)
        vectors = 2 * np.pi / rng.uniform(130.0, 300.0, (count, 1)) * direction
        return cls(vectors, rng.normal(0.0, 2.2, (count, 3)), rng.uniform(0.0, 2 * np.pi, count))

    def at(self, points: Array) -> Array:
        """Displacement of points, (..., 3)."""
        return np.asarray(np.sin(points @ self.vectors.T + self.phases) @ self.ways)


@dataclass(frozen=True)
class Habitus:
    """How a patient differs from the CT's."""

    build: Array
    """(3, 3), patient to CT: posture and size of the whole."""
    heart: Array
    """(3, 3), patient to CT, relative to the body: turn and size of the heart alone."""
    descent_mm: float
    """How much lower the diaphragm stands than in the CT; more air in the lungs."""
    spine: tuple[tuple[float, float, float], tuple[float, float, float]]
    """Curves of the spine, sideways and to the back: amplitude in mm, wavelength in mm, phase."""
    waves: Waves
    """What else makes people differ."""
    origin: Array
    """(3,): what lies here before the map lies in the isocentre after `centred`."""

    @classmethod
    def sample(cls, rng: np.random.Generator) -> Habitus:
        """Draw a body: small or large, slender or broad, any position of the heart that is still usual."""
        size = rng.uniform(0.88, 1.12) * rng.uniform((0.92, 0.88, 0.92), (1.08, 1.12, 1.08))
        build = np.diag(1.0 / size) @ _turn(rng, (4.0, 4.0, 7.0)).T
        own_size = rng.uniform(0.8, 1.12) * rng.uniform(0.95, 1.05, 3)
        heart = np.diag(1.0 / own_size) @ _turn(rng, (7.0, 7.0, 8.0)).T
        curves = [
            (rng.normal(0.0, sigma), rng.uniform(230.0, 420.0), rng.uniform(0.0, 2 * np.pi))
            for sigma in (6.0, 4.0)
        ]
        descent = float(rng.uniform(-13.0, 22.0))
        return cls(build, heart, descent, (curves[0], curves[1]), Waves.sample(rng), np.zeros(3))

    def centred(self, heart_points: Array) -> Habitus:
        """The same body moved until its heart's centre is the isocentre; (N, 3) points of the CT's heart."""
        return replace(self, origin=self.origin + self.to_patient(heart_points).mean(axis=0))

    def to_ct(self, points: Array) -> Array:
        """Where points of the patient, (..., 3), are in the CT."""
        p = np.asarray(points) + self.origin
        near_heart = np.exp(-((np.einsum("...i,...i->...", p, p) / _HEART_REACH_MM**2) ** 2))[..., None]
        q = p + near_heart * (p @ (self.heart - np.eye(3)).T)
        below = _sigmoid((_DIAPHRAGM_MM - p[..., 2]) / 13.0)
        q[..., 2] += self.descent_mm * below * (1.0 - 0.6 * near_heart[..., 0])
        back = _sigmoid((p[..., 1] - _BACK_MM) / 18.0)
        for axis, (amplitude, wavelength, phase) in enumerate(self.spine):
            q[..., axis] += amplitude * back * np.sin(2 * np.pi * p[..., 2] / wavelength + phase)
        return np.asarray((q + self.waves.at(p)) @ self.build.T)

    def to_patient(self, points: Array) -> Array:
        """Where points of the CT, (..., 3), are in the patient: the inverse, by fixed-point iteration."""
        back = np.linalg.inv(self.build)
        p = np.asarray(points) @ back.T - self.origin
        for _ in range(_ROUNDS):
            p = p + (points - self.to_ct(p)) @ back.T
        return np.asarray(p)


def _sigmoid(x: Array) -> Array:
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(x, -40.0, 40.0))))


def _turn(rng: np.random.Generator, sigma_deg: tuple[float, float, float]) -> Array:
    """A small random rotation, (3, 3); standard deviations about x, y and z."""
    turn = np.eye(3)
    for axis, sigma in enumerate(np.deg2rad(sigma_deg)):
        angle = np.clip(rng.normal(0.0, sigma), -2 * sigma, 2 * sigma)
        i, j = (k for k in range(3) if k != axis)
        step = np.eye(3)
        step[i, i] = step[j, j] = np.cos(angle)
        step[i, j], step[j, i] = -np.sin(angle), np.sin(angle)
        turn = step @ turn
    return turn
