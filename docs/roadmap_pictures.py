"""The picture of roadmaps in docs/reference.md: failures first, the last row as it should be.

python -m docs.roadmap_pictures [FILE]      default docs/images/roadmap.png

Each row is one simulated patient: a filled frame of the reference, a frame of the later run, what becomes of
it, and the same moment as contrast would really show it.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from casgan_dicom.model.data.run_pairs import PairChange, RunPair, film_pair, usable_frames
from casgan_dicom.model.evaluation.roadmap_rows import Segment, reference_run, target_run
from casgan_dicom.model.generator import Generator
from casgan_dicom.model.roadmap.placed import Placed, compose
from casgan_dicom.model.roadmap.roadmap import Roadmap
from casgan_dicom.model.roadmap.run import Engaged
from casgan_dicom.model.simulator.procedural import ProceduralBackgrounds
from casgan_dicom.model.simulator.run import CineSettings
from casgan_dicom.pixels.banner import NO_ROADMAP, banner_for

FILE = Path(__file__).resolve().parent / "images" / "roadmap.png"
BUNDLE = "casgan-desk"
_GAP = 4
_LEAD_IN, _FILLED = 4, 24


@dataclass(frozen=True)
class Row:
    """One patient and one frame of the later run."""

    seed: int
    """Of the pair."""
    change: PairChange
    """What is not as it should be."""
    frame: int
    """Of the later run, from 0."""


ROWS = (
    Row(10, PairChange(treated=True), 0),
    Row(6, PairChange(), 10),
    Row(4, PairChange(breath_mm=25.0), 30),
    Row(2, PairChange(other_artery=True), 0),
    Row(3, PairChange(pan_mm=15.0), 20),
    Row(2, PairChange(), 0),
)


def film(row: Row, size: int = 256) -> RunPair:
    """Simulate the pair of a row; only one frame of the later run."""
    settings = CineSettings(size=size, frames=60)
    chosen = partial(usable_frames, lead_in=_LEAD_IN, filled=_FILLED)
    return film_pair(row.seed, settings, ProceduralBackgrounds(), row.change, indices=(chosen, (row.frame,)))


def laid(
    pair: RunPair, segment: Segment, engaged: Engaged | None = None
) -> tuple[Placed, npt.NDArray[np.float32]]:
    """What the roadmap says of the frame, and four pictures side by side, (4, H, W) in [0, 1]."""
    roadmap = Roadmap.of(reference_run(pair, segment))
    cine = pair.target
    (frame,), (truth,) = cine.display(cine.plain), cine.display(cine.contrast)
    (placed,) = roadmap.target(target_run(pair)).run([frame], engaged)
    filled = pair.reference.display(pair.reference.contrast)[placed.reference_frame]
    if placed.depth is not None:
        drawn = compose(frame, placed.depth, roadmap.scale)
    else:
        burned = np.rint(frame * 255).astype(np.uint8)
        banner_for(*burned.shape, NO_ROADMAP).burn(burned)
        drawn = (burned / 255).astype(np.float32)
    return placed, np.stack([filled, frame, drawn, truth])


def page(rows: Sequence[Row], generator: Generator, size: int = 256) -> npt.NDArray[np.uint8]:
    """All rows below each other with white gaps, uint8.

    The catheter is asked about where it is what has changed: the others show what else may go wrong.
    """
    lines = []
    for row in rows:
        asked = generator.engaged if row.change.other_artery else None
        _, pictures = laid(film(row, size), partial(generator.vessels, twice=True), asked)
        line = np.pad(np.rint(pictures * 255), ((0, 0), (0, _GAP), (0, _GAP)), constant_values=255)
        lines.append(np.concatenate(list(line), axis=1))
    return np.concatenate(lines).astype(np.uint8)[:-_GAP, :-_GAP]


def main(arguments: Sequence[str]) -> None:
    """Write the picture."""
    path = Path(arguments[0]) if arguments else FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    generator = Generator.load(BUNDLE, device="cpu")
    Image.fromarray(page(ROWS, generator)).save(path, optimize=True)
    sys.stdout.write(f"{path}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
