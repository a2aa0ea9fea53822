"""The exposure control at the start of a run: the first frames too bright or too dark, then settled."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Ramp:
    """How the detected quanta settle, as a damped swing of their logarithm."""

    start: float = 0.0
    """Logarithm of the first frame's quanta over the settled ones; 0 is a control that knew before."""
    frames: float = 2.5
    """Frames after which the swing has fallen to a third."""
    half_swing: float = 10.0
    """Frames from the brightest to the darkest moment of the swing."""

    @classmethod
    def sample(cls, rng: np.random.Generator) -> Ramp:
        """Draw a control: settled from the start in half of the runs, else more often too bright at first."""
        if rng.random() < 0.5:
            return cls()
        sign = 1.0 if rng.random() < 0.7 else -1.0
        return cls(
            start=sign * float(rng.uniform(0.03, 0.16)),
            frames=float(rng.uniform(1.0, 3.0)),
            half_swing=float(rng.uniform(4.0, 12.0)),
        )

    def factor(self, frame: int) -> float:
        """Quanta of a frame over those of a settled one."""
        swing = np.exp(-frame / self.frames) * np.cos(np.pi * frame / self.half_swing)
        return float(np.exp(self.start * swing))
