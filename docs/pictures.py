"""The picture of simulated frames in the README.

python -m docs.pictures [FILE]      default docs/images/simulated.png

Each column is one simulated patient: above without contrast, below the same moment with contrast.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from casgan_dicom.model.simulator.cine import CineSettings, simulate_cine
from casgan_dicom.model.simulator.procedural import ProceduralBackgrounds

FILE = Path(__file__).resolve().parent / "images" / "simulated.png"
SEEDS = (19, 51, 2, 57)
_GAP = 4


def pairs_page(seeds: Sequence[int], size: int = 256) -> npt.NDArray[np.uint8]:
    """Frames of simulated runs where the artery is best filled.

    Returns
    -------
    uint8 (2·size + gap, len(seeds)·(size + gap) - gap)
        One column for each seed: without contrast above, with contrast below; white gaps.
    """
    settings, patients = CineSettings(size=size), ProceduralBackgrounds()
    page = np.full((2 * size + _GAP, len(seeds) * (size + _GAP) - _GAP), 255, dtype=np.uint8)
    for column, seed in enumerate(seeds):
        run = simulate_cine(seed, settings, patients, well_filled=1)
        left = column * (size + _GAP)
        for row, stored in enumerate((run.plain, run.contrast)):
            top = row * (size + _GAP)
            page[top : top + size, left : left + size] = np.rint(run.display(stored[0]) * 255)
    return page


def main(arguments: Sequence[str]) -> None:
    """Write the picture."""
    path = Path(arguments[0]) if arguments else FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pairs_page(SEEDS)).save(path, optimize=True)
    sys.stdout.write(f"{path}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
