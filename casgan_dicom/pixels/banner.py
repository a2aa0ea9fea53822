"""The mark that survives everything: "AI SYNTHETIC - NOT FOR DIAGNOSIS" burned into every frame.

Anonymisers remove descriptions, and no viewer shows Synthetic Data (0008,001C); pixels stay. The text is
drawn with Pillow's built-in bitmap font, which needs no font file and no FreeType, so that the same frame
gets the same bytes on every machine. One font pixel becomes a whole number of image pixels.

A roadmap, which shows the patient's own vessels of an earlier run, has texts of its own: invented they are
not, but not of now either (`own_vessels`).

The box is white on black, centred on the last rows, and no larger than the text: about 4 % of an image
of 256 columns or more.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

TEXTS = ("AI SYNTHETIC - NOT FOR DIAGNOSIS", "AI SYNTHETIC", "AI")
"""What is written; the first that fits across the image."""
NO_ROADMAP = ("NO ROADMAP",)
"""What is written into a frame of a roadmap over which nothing was laid."""

_BASE = 256  # columns for which one font pixel is one image pixel: the text then spans three quarters
_BASE_ROWS = 64  # rows that one font pixel needs at least: the box then covers a sixth of them
_SHORTEST = ("NOT CURRENT", "NOT NOW")
_PAD = 1  # font pixels of black around the text


@dataclass(frozen=True)
class Banner:
    """A text box at a fixed place in a frame."""

    text: str
    """What the box says."""
    rows: slice
    """Rows of the frame that the box covers."""
    columns: slice
    """Columns of the frame that the box covers."""
    ink: npt.NDArray[np.bool_]
    """(rows, columns) of the box: True where the text is."""

    def burn(self, frame: npt.NDArray[np.unsignedinteger], white: int = 255) -> None:
        """Write the box into `frame` (H, W) in place: `white` where the text is, 0 around it."""
        frame[self.rows, self.columns] = np.where(self.ink, white, 0)

    def mask(self, shape: tuple[int, int]) -> npt.NDArray[np.bool_]:
        """(H, W): True where the box covers the frame."""
        covered = np.zeros(shape, dtype=np.bool_)
        covered[self.rows, self.columns] = True
        return covered


def own_vessels(clock: str) -> tuple[str, ...]:
    """What is burned into a frame with a roadmap; `clock` tells when its vessels were filled, "" unknown."""
    if not clock:
        return ("OWN VESSELS, TIME UNKNOWN - NOT CURRENT", "OWN VESSELS - NOT CURRENT", *_SHORTEST)
    long = f"OWN VESSELS OF {clock}, MOVED - NOT CURRENT"
    return (long, f"OWN VESSELS {clock} - NOT CURRENT", f"{clock}, NOT CURRENT", *_SHORTEST)


@lru_cache(maxsize=32)
def banner_for(rows: int, columns: int, texts: tuple[str, ...] = TEXTS) -> Banner:
    """The banner of a frame of `rows` × `columns`: the first text that fits, scaled by whole numbers.

    Raises ValueError when not even the last text fits.
    """
    scale = max(1, min(columns // _BASE, rows // _BASE_ROWS))
    for text in texts:
        ink = np.kron(np.pad(letters(text), _PAD), np.ones((scale, scale), dtype=np.bool_)).astype(np.bool_)
        height, width = ink.shape
        if height <= rows and width <= columns:
            left = (columns - width) // 2
            return Banner(text, slice(rows - height, rows), slice(left, left + width), ink)
    raise ValueError(f"a frame of {rows} × {columns} is too small for a legible banner")


def letters(text: str) -> npt.NDArray[np.bool_]:
    """`text` in Pillow's built-in bitmap font, cut to its ink; one element per font pixel."""
    font = ImageFont.load_default_imagefont()
    _, _, right, bottom = font.getbbox(text)
    canvas = Image.new("1", (int(right), int(bottom)))
    ImageDraw.Draw(canvas).text((0, 0), text, fill=1, font=font)
    ink = np.asarray(canvas, dtype=np.bool_)
    inked_rows, inked_columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    return ink[inked_rows[0] : inked_rows[-1] + 1, inked_columns[0] : inked_columns[-1] + 1]
