"""The table under the patient: operators pan it while the run goes on, to follow the contrast.

Only the patient moves: blades, field stop and angles stay. A table moves in its own plane; what counts here
is the way of the isocentre's picture, since depth changes it by a few per cent at most.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from casgan_dicom.model.simulator.geometry import Array

_PANNED = 0.35
"""Share of the runs in which the operator pans."""
_NUDGED = 0.1
"""Share of the runs in which the table slips or is pushed by a few mm."""
_LARGEST_SHARE = 0.117
"""60 of 512 pixels."""
_FINE_S = 0.02


@dataclass(frozen=True)
class Pan:
    """One shift of the table, begun and ended softly."""

    start_s: float
    """When it begins, in s after the first frame; may lie before it."""
    duration_s: float
    """How long it takes."""
    way_mm: tuple[float, float]
    """Way of the patient's picture, (right, down), in mm on the detector."""

    def share(self, time_s: float) -> float:
        """Share of the way that is made at a time, 0 to 1: the path of least jerk."""
        u = float(np.clip((time_s - self.start_s) / self.duration_s, 0.0, 1.0))
        return u**3 * (10.0 - 15.0 * u + 6.0 * u**2)


@dataclass(frozen=True)
class Table:
    """How the table is moved during one run."""

    pans: tuple[Pan, ...] = ()
    """In the order in which they begin; none in most runs."""

    @classmethod
    def sample(cls, rng: np.random.Generator, field_mm: float) -> Table:
        """Draw the shifts of a run: pans of 10 to 60 of 512 pixels, nudges of a few mm.

        Operators bring the distal artery in, so two of three pans move the patient up and left; one of four
        goes back later; one of four was begun before the first frame.
        """
        pans = []
        if rng.random() < _PANNED:
            pans.append(_draw_pan(rng, field_mm))
            if rng.random() < 0.25:
                end = pans[0].start_s + pans[0].duration_s
                right, down = -rng.uniform(0.5, 1.0) * np.asarray(pans[0].way_mm)
                pans.append(
                    Pan(end + rng.uniform(0.2, 1.5), rng.uniform(0.6, 1.8), (float(right), float(down)))
                )
        if rng.random() < _NUDGED:
            right, down = rng.normal(0.0, 1.5, 2)
            pans.append(Pan(rng.uniform(0.0, 4.0), rng.uniform(0.15, 0.4), (float(right), float(down))))
        return cls(tuple(sorted(pans, key=lambda pan: pan.start_s)))

    def reach_mm(self) -> float:
        """The largest way to the right, left, up or down, in mm on the detector."""
        end = max((pan.start_s + pan.duration_s for pan in self.pans), default=0.0)
        times = np.arange(0.0, end + _FINE_S, _FINE_S)
        return float(max(np.abs(self.shift_mm(time)).max() for time in times))

    def shift_mm(self, time_s: float) -> Array:
        """Way of the patient's picture since the first frame, (right, down), float64 (2,) in detector mm."""
        shift = np.zeros(2)
        for pan in self.pans:
            shift += (pan.share(time_s) - pan.share(0.0)) * np.asarray(pan.way_mm)
        return shift


def _draw_pan(rng: np.random.Generator, field_mm: float) -> Pan:
    """One shift by the operator's hand."""
    begun = rng.random() < 0.25
    start = rng.uniform(-0.4, 0.0) if begun else rng.uniform(0.1, 2.5)
    up_left = rng.random() < 2 / 3
    angle = np.deg2rad(rng.uniform(180.0, 270.0) if up_left else rng.uniform(0.0, 360.0))
    way = rng.uniform(0.02, _LARGEST_SHARE) * field_mm * np.array([np.cos(angle), np.sin(angle)])
    return Pan(float(start), float(rng.uniform(0.5, 2.0)), (float(way[0]), float(way[1])))
