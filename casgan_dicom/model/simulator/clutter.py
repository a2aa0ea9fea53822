"""Metal and plastic in the beam that is neither artery nor catheter: sternal wires, ECG and pacing leads."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.interpolate import CubicSpline

from casgan_dicom.model.simulator.geometry import Array, View
from casgan_dicom.model.simulator.heart import Heart
from casgan_dicom.model.simulator.tubes import draw_tube

FloatImage = npt.NDArray[np.float32]


def still_clutter(rng: np.random.Generator, view: View, midline_mm: float, chest_mm: float) -> FloatImage:
    """Draw what lies on or in the chest wall: ECG leads with electrodes, sternal wires.

    Parameters
    ----------
    rng
        Decides what this patient has; most have little.
    view
        Where it is seen from.
    midline_mm, chest_mm
        Patient x of the sternum and patient y of the skin in front.

    Returns
    -------
    float32 (size, size)
        Line integral.
    """
    image = np.zeros((view.size, view.size), dtype=np.float32)
    if rng.random() < 0.5:
        for _ in range(int(rng.integers(1, 4))):
            _ecg_lead(rng, image, view, chest_mm)
    if rng.random() < 0.2:
        for height in np.arange(rng.uniform(-50.0, -20.0), 80.0, rng.uniform(18.0, 26.0)):
            _sternal_wire(rng, image, view, np.array([midline_mm, chest_mm + 18.0, height]))
    return image


def pacing_clutter(rng: np.random.Generator, view: View, heart: Heart) -> FloatImage:
    """Draw pacing leads in some patients, float32 (size, size): from the caval vein to the apex."""
    image = np.zeros((view.size, view.size), dtype=np.float32)
    if rng.random() > 0.12:
        return image
    for target in ((-0.1, 0.05, 0.85), (-0.5, -0.35, -0.2))[: int(rng.integers(1, 3))]:
        entry = heart.to_patient(np.array([-0.1, -0.7, -0.75])) + np.array([0.0, 0.0, 90.0])
        atrium = heart.to_patient(np.array([-0.2, -0.7, -0.5])) + rng.normal(0.0, 4.0, 3)
        floor = heart.to_patient(np.array([-0.6, -0.3, 0.1])) + rng.normal(0.0, 4.0, 3)
        tip = heart.to_patient(np.array(target))
        path = _smooth(np.stack([entry, atrium, floor, tip]), 50)
        draw_tube(image, view, path, 0.8, rng.uniform(0.15, 0.3))
        draw_tube(image, view, path[-4:], 1.1, 0.5)
    return image


def _smooth(knots: Array, count: int) -> Array:
    """A spline through (K, 3) knots, (count, 3)."""
    return np.asarray(CubicSpline(np.linspace(0.0, 1.0, len(knots)), knots)(np.linspace(0.0, 1.0, count)))


def _ecg_lead(rng: np.random.Generator, image: FloatImage, view: View, chest_mm: float) -> None:
    """A cable over the chest, and sometimes the electrode that it ends in."""
    depth = chest_mm if rng.random() < 0.6 else -chest_mm + 40.0
    across = np.sort(rng.uniform(-110.0, 110.0, 2))[:: int(rng.choice([-1, 1]))]
    x = np.linspace(across[0], across[1], 5) + rng.normal(0.0, 7.0, 5)
    z = np.linspace(110.0, rng.uniform(-110.0, 0.0), 5) + rng.normal(0.0, 7.0, 5)
    path = _smooth(np.stack([x, np.full(5, depth), z], axis=1), 60)
    draw_tube(image, view, path, rng.uniform(0.5, 0.9), rng.uniform(0.04, 0.14))
    if rng.random() < 0.6:
        draw_tube(image, view, path[-2:] * [1, 1, 0] + [0, 0, path[-1, 2]], rng.uniform(1.5, 3.5), 0.12)


def _sternal_wire(rng: np.random.Generator, image: FloatImage, view: View, centre: Array) -> None:
    """One closed steel loop with its twisted end."""
    turn = np.linspace(0.0, 2 * np.pi, 28)
    tilt = rng.normal(0.0, 0.25)
    x = rng.uniform(9.0, 13.0) * np.cos(turn)
    ring = np.stack([x, 6.0 * np.sin(turn), 2.0 * np.sin(turn + 0.6) + tilt * x], axis=1)
    loop = centre + ring * (1.0 + rng.normal(0.0, 0.06, (len(turn), 1)))
    draw_tube(image, view, loop, 0.4, rng.uniform(0.5, 0.8))
    twist = loop[6] + np.stack([np.zeros(4), np.zeros(4), np.linspace(0.0, 5.0, 4)], axis=1)
    draw_tube(image, view, twist, 0.7, 0.6)
