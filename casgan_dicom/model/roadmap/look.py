"""One frame of the target beside frames of the reference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import ndimage

from casgan_dicom.model.roadmap.background import Spectrum, correlation, grid_weight, peak, structure, to_grid
from casgan_dicom.model.roadmap.blocks import BlockShift, Scene, block_displacements, breath_way
from casgan_dicom.model.roadmap.extraction import logarithm
from casgan_dicom.model.roadmap.phase import wanted_times
from casgan_dicom.model.roadmap.reference import COARSE_REACH, Reference, halved
from casgan_dicom.model.roadmap.run import Array, FloatImage, Mask

_PARTS = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Of the blocks' shift, which are tried."""
_AS_NEAR_S = 0.034
"""Reference frames whose phases are this much alike are told apart by their background: half a frame at 15 a
second."""
_DOUBT_S = 0.05
"""By so much a frame is farther whose beat's begin or end is not known."""
_OF_BLOCKS = 0.25
"""Share of what the blocks have learnt that counts along the patient, beside the breath."""
_AS_FULL = 0.9
"""Share of the vessel area of the fullest of them that they need: the first ones are filled in part only."""


@dataclass(frozen=True, eq=False)
class Look:
    """A frame of the target on the grid, the table's way taken back."""

    number: int
    """Of the frame, from 0."""
    scene: Scene
    """Its background."""
    table_px: tuple[float, float] | None
    """By how much it was moved back, pixels of the frame; None where unknown: then it was not moved."""

    @cached_property
    def spectrum(self) -> Spectrum:
        """To be compared with `Reference.spectra`."""
        return Spectrum.of(self.scene.structure, self.scene.weight)


@dataclass(frozen=True)
class Choice:
    """A reference frame for a target frame."""

    at: int
    """Place in `Reference.frames`."""
    ahead_s: float | None
    """By how much the wanted phase is later than this frame's; None where the phase is from images."""

    @property
    def gap_s(self) -> float | None:
        """How far it is from the wanted phase; None where that is unknown."""
        return None if self.ahead_s is None else abs(self.ahead_s)


@dataclass(frozen=True, eq=False)
class Match:
    """A target frame and the reference frame that fits it best."""

    look: Look
    """The target frame."""
    choice: Choice
    """The reference frame."""
    found: FloatImage
    """Correlation of their backgrounds for every shift."""
    blocks: BlockShift
    """How far the vessels have moved, pixels of the grid, by what the blocks have learnt."""
    breath: float
    """How far breath has moved the heart down, pixels of the grid, by the whole background."""
    displaced: float | None
    """Upper quartile of how far the blocks of the whole background have moved, pixels of the grid."""

    @property
    def best(self) -> float:
        """The highest correlation of all shifts."""
        return float(self.found.max())

    @property
    def shift(self) -> tuple[float, float]:
        """How far the vessels are moved, (down, right) in pixels of the grid.

        Along the patient, which is down in the picture, breath moves the heart: by what the whole background
        says, and a share of what the blocks have learnt of the beat, which alone does not hold for a breath.
        Across, as much of what the blocks say as the background around the vessels bears out: the
        correlation alone locks on the lung, so it only chooses on the way from no shift to the blocks'.
        """
        ways = [(part * self.blocks.shift[0], part * self.blocks.shift[1]) for part in _PARTS]
        across = max(ways, key=self.background_at)[1]  # of equals the shortest
        return self.breath + _OF_BLOCKS * self.blocks.shift[0], across

    def background_at(self, shift: tuple[float, float]) -> float:
        """Correlation at a shift, pixels of the grid; -1 beyond the largest that was looked for."""
        reach = self.found.shape[0] // 2
        at = [value + reach for value in shift]
        if min(at) < 0 or max(at) > 2 * reach:
            return -1.0
        return float(ndimage.map_coordinates(self.found, [[at[0]], [at[1]]], order=1)[0])


def look_at(
    number: int,
    frame: FloatImage,
    visible: Mask | None,
    reference: Reference,
    table_px: tuple[float, float] | None,
) -> Look:
    """Bring a frame (H, W) to the reference's grid and take the table's way back."""
    factor = reference.factor
    value = logarithm(to_grid(frame, factor), reference.scale)
    seen = np.ones(frame.shape, dtype=np.bool_) if visible is None else visible
    weight = grid_weight(seen, None, factor)
    if table_px is not None and any(table_px):
        back = (-table_px[0] / factor, -table_px[1] / factor)
        value = ndimage.shift(value, back, order=1, mode="nearest", prefilter=False)
        weight = np.float32(1) * (ndimage.shift(weight, back, order=1, cval=0.0, prefilter=False) > 0.99)
    return Look(number, Scene(structure(value, weight), weight), table_px)


def choices_by_ecg(time_s: float, r_waves_s: Sequence[float], reference: Reference) -> list[Choice]:
    """The reference frames in the phase of a moment of the target: the nearest of each beat, of those that
    are about as near as the nearest of all, and about as full as the fullest of these.

    Raises ValueError where the reference has no ECG.
    """
    if reference.beats is None:
        raise ValueError("the reference has no R waves, want two or more")
    fill = reference.fill
    near: dict[int, tuple[float, float]] = {}
    for wanted in wanted_times(time_s, r_waves_s, reference.beats):
        ahead = wanted.time_s - reference.times_s
        at = int(np.abs(ahead).argmin())
        rank = abs(float(ahead[at])) + (0.0 if wanted.told else _DOUBT_S)
        near[at] = min((rank, float(ahead[at])), near.get(at, (np.inf, np.inf)))
    least = min(near.values())[0]
    alike = [Choice(at, ahead) for at, (rank, ahead) in near.items() if rank <= least + _AS_NEAR_S]
    fullest = max(fill[choice.at] for choice in alike)
    return [choice for choice in alike if fill[choice.at] >= _AS_FULL * fullest]


def fits(look: Look, reference: Reference) -> Array:
    """How well each reference frame's background fits, (F,): its best correlation at half resolution."""
    half = halved(look.scene)
    found = correlation(Spectrum.of(half.structure, half.weight, COARSE_REACH), reference.coarse_spectra)
    return np.asarray(found.max(axis=(1, 2)), dtype=np.float64)


def compare(look: Look, reference: Reference, choices: Sequence[Choice]) -> Match:
    """Take the choice whose background fits best, and see how far the vessels have moved from it."""
    maps = [correlation(look.spectrum, reference.spectra[choice.at]) for choice in choices]
    best = int(np.argmax([peak(found)[1] for found in maps]))
    choice, blocks = choices[best], reference.blocks
    centres = np.concatenate([blocks.centres, reference.everywhere])
    displacement = block_displacements(look.scene, reference.scenes[choice.at], centres)
    near, all_over = np.split(displacement, [len(blocks.centres)])
    breath = breath_way(all_over[:, 0], reference.nearness)
    breath -= reference.breath_on_the_way(choice.at, choice.ahead_s or 0.0)
    displaced = _upper_quartile(np.hypot(*all_over.T))
    return Match(look, choice, maps[best], blocks.shift(near), breath, displaced)


def _upper_quartile(lengths: Array) -> float | None:
    """Of those lengths that are known, (K,); None without any."""
    known = lengths[np.isfinite(lengths)]
    return float(np.quantile(known, 0.75)) if len(known) else None
