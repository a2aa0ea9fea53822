"""How vessels come into frames: the one interface of all ways to draw, and the way that goes frame by frame.

A drawer sees display frames at their full size and gives them back with vessels; the background keeps every
pixel. Most methods look at each frame alone (`FrameByFrame`); one that knows anatomy looks at a sample of the
run first, plans what is drawn over all of it, and draws that (``methods/atlas_drawer.py``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from casgan_dicom.model.data.normalisation import Levels, to_display, to_network
from casgan_dicom.model.data.square import from_square, to_square
from casgan_dicom.model.settings import NormalisationSettings
from casgan_dicom.threads import in_threads

if TYPE_CHECKING:
    from casgan_dicom.model.atlas.context import RunContext
    from casgan_dicom.model.atlas.plan import RunPlan

UNTOUCHED = 1 / 512
"""Attention below this is none: half a step of an 8-bit display, so the stored value cannot change."""

ROUNDING = 1e-6
"""How far beyond [0, 1] a composed value may lie for no other reason than float32."""

VESSEL_FROM = 0.05
"""Share of the light that a dye takes from which a pixel counts as vessel: a twentieth covers as much of a
simulated run as the segmentor sees of it afterwards."""

GRAIN_PX = 5
"""Rows and columns of the mean that a frame's grain stands out from."""

GRAIN_MOST = 0.06
"""Display values that grain is at most: three standard deviations of raw detectors. More is an edge."""

Frames = npt.NDArray[np.float32]
Masks = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Synthesis:
    """What the generator made of some frames."""

    frames: Frames
    """Synthetic angiogram, display values in [0, 1], (T, H, W)."""
    attention: Frames | None
    """Where it drew, in [0, 1], (T, H, W), exactly 0 where the input was kept; None without attention."""
    out_of_range: npt.NDArray[np.float32] | None = None
    """Share of pixels of each frame, (T,), that lay outside [0, 1] and were clipped; None if unknown."""
    vessels: Masks | None = None
    """Where vessels were drawn, (T, H, W): at least `VESSEL_FROM` of the light is taken. None for a method
    that does not know what it draws; a segmentor has to look then."""


class Engine(Protocol):
    """Runs the networks."""

    name: str
    """What runs, and in which precision: "torch-fp32", "openvino-bf16" …"""
    device: str
    """Where it runs: "cpu", "cuda:0" …"""
    batch: int
    """How many frames at once suit it; it takes any number."""

    def __call__(self, x: Frames) -> tuple[Frames, Frames | None]:
        """Predict drawn and attention for x (B, 1, S, S) in network values."""


class Drawer(Protocol):
    """One way to draw vessels into frames."""

    @property
    def name(self) -> str:
        """What computes, and in which precision."""

    @property
    def device(self) -> str:
        """Where it computes."""

    @property
    def batch(self) -> int:
        """How many frames at once suit it; it takes any number."""

    def sampled(self, frames: int) -> tuple[int, ...]:
        """Which frames of a run of so many, from 0, rising, `plan` wants to see; none: it plans nothing."""

    def plan(self, frames: Frames, numbers: Sequence[int], context: RunContext) -> RunPlan | None:
        """Decide what is drawn over a run from frames (T, H, W) sampled of it, and their numbers."""

    def draw(self, frames: Frames, levels: Levels, plan: RunPlan | None, numbers: Sequence[int]) -> Synthesis:
        """Draw into frames (T, H, W) with their numbers in the run; the plan is what `plan` gave."""


@dataclass(frozen=True)
class FrameByFrame:
    """Networks that look at each frame alone and draw a context C where their attention A says so.

    They see a frame at their own size and in their normalisation; what they draw is brought back and composed
    with the full-size input: y = x · (1 - A) + C · A. Without attention the residual y - x is added instead.
    """

    engine: Engine
    """Runs the networks."""
    size: int
    """Rows and columns that they see."""
    normalisation: NormalisationSettings
    """How they see display values."""

    @property
    def name(self) -> str:
        """What runs the networks, with its precision."""
        return self.engine.name

    @property
    def device(self) -> str:
        """Where they run."""
        return self.engine.device

    @property
    def batch(self) -> int:
        """Frames at once."""
        return self.engine.batch

    def sampled(self, frames: int) -> tuple[int, ...]:  # noqa: ARG002 - of the interface
        """Nothing: no frame needs to be seen before another."""
        return ()

    def plan(self, frames: Frames, numbers: Sequence[int], context: RunContext) -> None:
        """Nothing."""

    def draw(
        self,
        frames: Frames,
        levels: Levels,
        plan: RunPlan | None = None,  # noqa: ARG002 - of the interface
        numbers: Sequence[int] = (),  # noqa: ARG002 - of the interface
    ) -> Synthesis:
        """Draw into each frame."""
        x = to_network(to_square(frames, self.size), levels, self.normalisation)
        drawn, attention = self.engine(x[:, None])
        context = to_display(drawn[:, 0], levels, self.normalisation)
        shape = (frames.shape[1], frames.shape[2])
        if attention is None:
            seen = to_display(x, levels, self.normalisation)  # not the frame: the network's range clips it
            return clipped(frames + from_square(context - seen, shape), None)
        A = from_square(attention[:, 0], shape)
        A[A < UNTOUCHED] = 0
        return clipped(frames * (1 - A) + from_square(context, shape) * A, A)


def darkened(frames: Frames, depth: Frames) -> Synthesis:
    """Let a dye of optical depth T ≥ 0 absorb: y = x · exp(-T), by Lambert and Beer; all (N, H, W).

    That is an attention A = 1 - exp(-T) over a context of 0, so nothing is touched where A is below 1/512.
    The grain of a frame, what it has above its mean over `GRAIN_PX`, is that of quanta: it falls with the
    root of the light only, exp(-T / 2), so no vessel is a clean line on a grainy frame.
    """
    A, y = np.zeros_like(frames), frames.copy()
    beyond = np.zeros(len(frames), dtype=np.float32)
    touched = in_threads(lambda k: _absorb(depth[k], A[k]), range(len(frames)))
    if (window := _window_of(touched)) is not None:  # only there is work
        pixels = frames.shape[1] * frames.shape[2]

        def draw(k: int) -> None:
            beyond[k] = _darken(y[k][window], frames[k][window], A[k][window]) / pixels

        in_threads(draw, range(len(frames)))
    return Synthesis(y, A, beyond, A >= VESSEL_FROM)


def _absorb(depth: Frames, A: Frames) -> tuple[Masks, Masks]:
    """Put the share of light that a dye takes into A (H, W), which is 0; rows and columns where it does."""
    vessel = depth > 0  # a few per cent of a picture
    A[vessel] = -np.expm1(-depth[vessel].astype(np.float32, copy=False))
    A[A < UNTOUCHED] = 0
    drawn = A > 0
    return np.asarray(drawn.any(axis=1)), np.asarray(drawn.any(axis=0))


def _darken(y: Frames, frame: Frames, A: Frames) -> int:
    """Draw into y, a window of a frame, (h, w); how many pixels lay beyond what can be displayed."""
    where = A.nonzero()
    x, a = frame[where], A[where]
    smooth = ndimage.uniform_filter(frame, GRAIN_PX, mode="nearest")[where]
    grain = np.clip(x - smooth, -np.minimum(x, GRAIN_MOST), GRAIN_MOST)
    drawn = x * (1 - a) + grain * (np.sqrt(1 - a) - (1 - a))
    y[where] = np.clip(drawn, 0, 1)
    return int(np.count_nonzero(_lies_beyond(drawn)))


def _window_of(touched: Sequence[tuple[Masks, Masks]]) -> tuple[slice, slice] | None:
    """Rows and columns in which anything is drawn, and what grain needs around them; None for nowhere.

    The window of all frames, not one of each: sums of the mean that run along it round by where it begins.
    """
    if not touched:
        return None
    rows, columns = (np.flatnonzero(np.logical_or.reduce(one)) for one in zip(*touched, strict=True))
    if not len(rows):
        return None
    return _around(rows), _around(columns)


def _around(places: npt.NDArray[np.intp]) -> slice:
    """From the first to the last of rising places, with a margin."""
    return slice(max(0, int(places[0]) - GRAIN_PX), int(places[-1]) + GRAIN_PX + 1)


def clipped(y: Frames, attention: Frames | None) -> Synthesis:
    """What was composed, cut to what can be displayed; how much of it lay beyond is counted."""
    beyond = _lies_beyond(y).mean(axis=(1, 2), dtype=np.float32)
    return Synthesis(np.clip(y, 0, 1), attention, beyond)


def _lies_beyond(y: Frames) -> Masks:
    """Which values cannot be displayed, rounding aside."""
    return np.asarray((y < -ROUNDING) | (y > 1 + ROUNDING))
