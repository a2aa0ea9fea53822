"""What lies in the beam and is neither artery nor catheter: on the skin, in the chest wall, in the heart.

Most runs have little; what there is comes in as many shapes as hands make it. Metal in the body is drawn in
implants.py, folds of skin and cloth here. Everything is a line integral, float32 (size, size), in patient
mm (geometry.py).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.interpolate import CubicSpline

from casgan_dicom.model.simulator.geometry import Array, View
from casgan_dicom.model.simulator.heart import Heart
from casgan_dicom.model.simulator.implants import (
    draw_graft_clips,
    draw_leads,
    draw_sternotomy,
    draw_valve,
    put_disc,
)
from casgan_dicom.model.simulator.tubes import draw_tube

FloatImage = npt.NDArray[np.float32]

_ECG, _STERNOTOMY, _TUBING = 0.3, 0.09, 0.08
_LEADS, _VALVE, _CLIPS = 0.06, 0.035, 0.05
"""Shares of the runs that have each kind."""
_FOLDS = 0.3


def still_clutter(rng: np.random.Generator, view: View, midline_mm: float, chest_mm: float) -> FloatImage:
    """Draw what lies on or in the chest wall: ECG electrodes with leads, tubing, sternal wires, clips.

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
    has_ecg, has_wires, has_tubing = rng.random(3) < (_ECG, _STERNOTOMY, _TUBING)
    if has_ecg:
        for _ in range(int(rng.integers(1, 5))):
            _ecg_electrode(rng, image, view, (midline_mm, chest_mm))
    if has_wires:
        draw_sternotomy(rng, image, view, np.array([midline_mm, chest_mm + 18.0, 0.0]))
    if has_tubing:
        _tubing(rng, image, view, chest_mm)
    return image


def pacing_clutter(rng: np.random.Generator, view: View, heart: Heart) -> FloatImage:
    """Draw what is implanted and moves with the heart: pacemaker and ICD leads, valves, clips on grafts."""
    image = np.zeros((view.size, view.size), dtype=np.float32)
    has_leads, has_valve, has_clips = rng.random(3) < (_LEADS, _VALVE, _CLIPS)
    if has_leads:
        draw_leads(rng, image, view, heart)
    if has_valve:
        draw_valve(rng, image, view, heart)
    if has_clips:
        draw_graft_clips(rng, image, view, heart)
    return image


def surface_folds(rng: np.random.Generator, view: View) -> FloatImage:
    """Draw folds of skin, blankets and seams in some runs: long soft edges with one sharp side."""
    image = np.zeros((view.size, view.size), dtype=np.float32)
    if rng.random() >= _FOLDS:
        return image
    mm = (np.arange(view.size, dtype=np.float32) - np.float32(view.size / 2)) * np.float32(view.pixel_mm)
    main = rng.uniform(0.0, np.pi)
    for _ in range(int(rng.integers(1, 5))):
        angle = main + rng.normal(0.0, 0.3)
        u = mm[None, :] * np.cos(angle) + mm[:, None] * np.sin(angle)
        v = mm[:, None] * np.cos(angle) - mm[None, :] * np.sin(angle)
        wave = rng.uniform(0.0, 4.0) * np.sin(u / rng.uniform(20.0, 60.0) + rng.uniform(0.0, 6.3))
        off = v - rng.uniform(-90.0, 90.0) - rng.normal(0.0, 0.0012) * u**2 - wave
        fade = 1.0 / (1.0 + np.exp(-(u - rng.uniform(-110.0, 40.0)) / rng.uniform(6.0, 25.0)))
        soft = np.exp(-np.maximum(off, 0.0) / rng.uniform(2.0, 25.0))
        edge = 1.0 / (1.0 + np.exp(-np.clip(off / rng.uniform(0.3, 1.2), -30.0, 30.0)))
        image += (rng.uniform(0.012, 0.08) * fade * soft * edge).astype(np.float32)
    return image


def _ecg_electrode(
    rng: np.random.Generator, image: FloatImage, view: View, body: tuple[float, float]
) -> None:
    """A disc of gel on the skin, its snap, the plug on it, and the cable that leaves the picture."""
    midline, chest = body
    x, z = rng.uniform(-110.0, 110.0), rng.uniform(-105.0, 105.0)
    front = rng.random() < 0.75
    sag = 0.0032 * (x - midline) ** 2  # the chest is round
    y = chest + sag if front else -chest + 30.0 - sag
    place = np.array([x, y, z])
    normal = np.array([0.006 * (x - midline), -1.0, rng.normal(0.0, 0.15)])
    if rng.random() < 0.6:  # foam and gel are nearly translucent
        put_disc(image, view, (place, normal), rng.uniform(8.0, 17.0), rng.uniform(0.004, 0.016))
        put_disc(image, view, (place, normal), rng.uniform(4.0, 8.0), rng.uniform(0.01, 0.05))
    metal = np.exp(rng.uniform(np.log(0.1), np.log(0.9)))
    if rng.random() < 0.8:
        put_disc(image, view, (place, normal), rng.uniform(1.4, 3.2), metal)
    heading = rng.uniform(0.0, 2 * np.pi)
    if rng.random() < 0.5:
        plug = place + np.outer([0.0, 1.0], rng.uniform(5.0, 14.0) * _in_plane(heading))
        draw_tube(image, view, plug, rng.uniform(1.0, 2.6), rng.uniform(0.01, 0.05))
        draw_tube(image, view, plug + rng.normal(0.0, 0.4, 3), 0.5, metal * 0.4)
    if rng.random() < 0.8:
        cable = _hanging(rng, place, heading, rng.uniform(220.0, 400.0))
        strength = np.exp(rng.uniform(np.log(0.03), np.log(0.2)))
        draw_tube(image, view, cable, rng.uniform(0.35, 0.8), strength)


def _in_plane(heading: float) -> Array:
    """Unit vector on the patient's front, (3,)."""
    return np.array([np.cos(heading), 0.0, np.sin(heading)])


def _hanging(rng: np.random.Generator, start: Array, heading: float, length: float) -> Array:
    """A cable that lies as it fell: its curvature wanders slowly, (N, 3) about 2 mm apart."""
    count = max(8, round(length / 2.0))
    bends = rng.normal(0.0, 1.0, 3 + count // 12)
    curvature = CubicSpline(np.linspace(0.0, 1.0, len(bends)), bends)(np.linspace(0.0, 1.0, count))
    direction = heading + np.cumsum(2.0 * rng.uniform(0.003, 0.02) * curvature)
    steps = 2.0 * np.stack([np.cos(direction), np.zeros(count), np.sin(direction)], axis=1)
    return np.asarray(start + np.concatenate([np.zeros((1, 3)), np.cumsum(steps, axis=0)]))


def _tubing(rng: np.random.Generator, image: FloatImage, view: View, chest_mm: float) -> None:
    """An infusion line or an oxygen tube across the patient: two faint walls, or a solid cable."""
    heading = rng.uniform(0.0, 2 * np.pi)
    start = np.array([0.0, chest_mm - 5.0, 0.0]) - 230.0 * _in_plane(heading)
    start += rng.normal(0.0, 45.0, 3) * [1.0, 0.1, 1.0]
    way = _hanging(rng, start, heading + rng.normal(0.0, 0.2), 560.0)
    radius, per_mm = rng.uniform(0.8, 2.2), rng.uniform(0.015, 0.06)
    draw_tube(image, view, way, radius, per_mm)
    if rng.random() < 0.7:
        draw_tube(image, view, way, radius * rng.uniform(0.6, 0.8), -0.9 * per_mm)
