"""Learning the kind of a bundle's training frames: variants of them, pictures of other kinds, and a fit."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt

from casgan_dicom.model.domain.bodies import BODIES, RADIOGRAPHS
from casgan_dicom.model.domain.canvas import Picture
from casgan_dicom.model.domain.encoder import encoded
from casgan_dicom.model.domain.patterns import PATTERNS, scrambled, without_phases
from casgan_dicom.model.domain.sampling import Frame
from casgan_dicom.model.domain.statistics import DomainStatistics, fit_statistics
from casgan_dicom.model.domain.variation import varied
from casgan_dicom.model.domain.view import seen
from casgan_dicom.model.domain.volumes import Volume
from casgan_dicom.model.networks.unet import UNet

SIZE = 128
"""Rows and columns that pictures are varied in."""
MOST_FRAMES = 500
"""Training frames that are looked at; of more, these many spread over them."""
VARIANTS = 2
"""Of every training frame, beside itself."""
FOREIGN_EACH = 36
"""Pictures of every other kind."""

Rng = np.random.Generator
Pictures = npt.NDArray[np.float32]


def learn_domain(
    segmentor: UNet, encoder_sha256: str, frames: Pictures, seed: int = 1, volume: Volume | None = None
) -> DomainStatistics:
    """Learn the kind of training frames.

    Parameters
    ----------
    segmentor
        Whose encoder is used, in evaluation mode.
    encoder_sha256
        SHA-256 of its file in the bundle.
    frames
        Display values in [0, 1], (N, H, W), with and without contrast; those of one run beside each other.
    seed
        Of variants and foreign pictures.
    volume
        A CT, for more foreign pictures.

    Raises
    ------
    ValueError
        There are too few frames, see `fit_statistics`.
    """
    rng = np.random.default_rng([seed, 160])
    chosen = frames
    if len(frames) > MOST_FRAMES:
        chosen = frames[np.linspace(0, len(frames) - 1, MOST_FRAMES).astype(int)]
    own = np.stack(list(own_pictures(rng, chosen)))
    foreign = np.stack(
        [
            seen(picture.astype(np.float32))
            for _, picture in foreign_pictures(rng, chosen, volume, FOREIGN_EACH)
        ]
    )
    return fit_statistics(encoded(segmentor, own), encoded(segmentor, foreign), encoder_sha256)


def own_pictures(rng: Rng, frames: Pictures) -> Iterator[Frame]:
    """Every frame as it is, and as it might look elsewhere."""
    for frame in frames:
        yield seen(frame)
        for _ in range(VARIANTS):
            yield seen(varied(rng, frame.astype(np.float64), SIZE).astype(np.float32))


def foreign_pictures(
    rng: Rng, frames: Pictures, volume: Volume | None = None, each: int = FOREIGN_EACH
) -> Iterator[tuple[str, Picture]]:
    """Pictures of other kinds, each with the name of its kind; half of them varied like frames."""
    for name, draw in _kinds(frames, volume).items():
        for k in range(each):
            picture = draw(rng, SIZE)
            if name in RADIOGRAPHS and rng.random() < 0.5:
                picture = 1 - picture  # bones white, as radiographs are read
            yield name, varied(rng, picture, SIZE) if k % 2 else picture


def _kinds(frames: Pictures, volume: Volume | None) -> dict[str, Callable[[Rng, int], Picture]]:
    """Who draws pictures of each kind."""

    def some_frame(rng: Rng, size: int) -> Picture:
        return varied(rng, frames[int(rng.integers(len(frames)))].astype(np.float64), size)

    kinds = {
        **BODIES,
        **PATTERNS,
        "without phases": lambda rng, size: without_phases(rng, some_frame(rng, size)),
        "scrambled": lambda rng, size: scrambled(rng, some_frame(rng, size)),
    }
    if volume is not None:
        kinds |= {"slice": volume.slices, "whole chest": volume.whole, "corner": volume.corner}
    return kinds
