"""A contact sheet of one cine: input over output over attention, for a first look without a viewer.

A picture leaves the DICOM world with no header, so the sheet says in its own pixels what it shows. Tiles are
shrunk as the frames stream by: memory does not grow with the cine.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
from PIL import Image, PngImagePlugin

from casgan_dicom.pixels.banner import TEXTS, letters

TILE = 224
"""Longer side of a tile in pixels."""
COLUMNS = 6
"""Frames on a sheet, evenly spread over the run."""

_GAP = 4  # pixels between tiles
_HEADING = 20  # pixels above the tiles for the frame numbers, and above those for the title
_MARGIN = 80  # pixels to the left for the names of the rows
_GREY = 24  # of the paper

Frame = npt.NDArray[np.uint8]


@dataclass
class ContactSheet:
    """Collects tiles while the frames of a cine stream by."""

    numbers: tuple[int, ...]
    """Number of each frame of the output in its source, from 1."""
    note: str = ""
    """What else is written above the tiles, a few words; empty for nothing."""
    pixel: tuple[int, int] = (1, 1)
    """Height and width of a pixel, in one unit: a circle is to be one here, too."""
    _tiles: dict[int, list[Frame]] = field(default_factory=dict)

    @property
    def picks(self) -> tuple[int, ...]:
        """Which frames of the output are shown, from 0: evenly spread, first and last included."""
        frames = len(self.numbers)
        return tuple(int(k) for k in np.unique(np.rint(np.linspace(0, frames - 1, min(COLUMNS, frames)))))

    def offer(
        self, index: int, shown: Frame, output: Frame, attention: npt.NDArray[np.float32] | None
    ) -> None:
        """Take frame `index` (from 0) if it is one of the picks.

        `shown` and `output` are uint8 (H, W), the displayed input and the stored output; `attention` is
        float32 (H, W) in [0, 1], or None for a method without one.
        """
        if index not in self.picks:
            return
        rows = [shown, output]
        if attention is not None:
            rows.append(np.rint(np.clip(attention, 0, 1) * 255).astype(np.uint8))
        self._tiles[index] = [_tile(row, self.pixel) for row in rows]

    def save(self, file: BinaryIO) -> None:
        """Write the sheet as PNG. Raises ValueError before every pick was offered."""
        if missing := set(self.picks) - set(self._tiles):
            raise ValueError(f"frames {sorted(missing)} of the sheet were never offered")
        notes = PngImagePlugin.PngInfo()
        notes.add_text("Description", f"{TEXTS[0]}: input, synthetic output and attention of one cine")
        Image.fromarray(self._paper()).save(file, format="PNG", pnginfo=notes)

    def _paper(self) -> Frame:
        """The whole sheet, uint8 (H, W)."""
        height, width = self._tiles[self.picks[0]][0].shape
        names = ("input", "synthetic", "attention")[: len(self._tiles[self.picks[0]])]
        top, left = 3 * _HEADING, _MARGIN
        paper = np.full(
            (top + len(names) * (height + _GAP), left + len(self.picks) * (width + _GAP)), _GREY, np.uint8
        )
        _write(paper, TEXTS[0], row=6, column=left, scale=2 if width * len(self.picks) > 400 else 1)
        if self.note:
            _write(paper, self.note, row=28, column=left)
        for j, index in enumerate(self.picks):
            x = left + j * (width + _GAP)
            _write(paper, f"frame {self.numbers[index]}", row=top - _HEADING + 4, column=x)
            for i, tile in enumerate(self._tiles[index]):
                y = top + i * (height + _GAP)
                paper[y : y + height, x : x + width] = tile
        for i, name in enumerate(names):
            _write(paper, name, row=top + i * (height + _GAP) + height // 2, column=8)
        return paper


def _tile(frame: Frame, pixel: tuple[int, int]) -> Frame:
    """`frame` with square pixels, shrunk so that its longer side is `TILE`; never enlarged beyond that."""
    height, width = (side * part / min(pixel) for side, part in zip(frame.shape, pixel, strict=True))
    scale = min(1.0, TILE / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(Image.fromarray(frame).resize(size, Image.Resampling.BOX))


def _write(paper: Frame, text: str, *, row: int, column: int, scale: int = 1) -> None:
    """Write white letters on `paper` at the upper left corner (row, column), cut at its edge."""
    ink = np.kron(letters(text), np.ones((scale, scale), dtype=np.bool_)).astype(np.bool_)
    place = paper[row : row + ink.shape[0], column : column + ink.shape[1]]
    place[ink[: place.shape[0], : place.shape[1]]] = 235
