"""Stored pixel values to display values in [0, 1], and back to stored values of the output.

Everything that knows what a stored value means lives here; the model sees only float arrays and never a
tag. The chain for one frame (PS3.3 C.11.1, C.11.2, PS3.4 N.2):

    stored value → (rescale) → VOI LUT, or window, or full stored range → MONOCHROME1 inverted → [0, 1]

A Modality LUT of an X-ray run maps *back* to X-ray intensity and is not for display: it is never applied, nor
is a rescale where Pixel Intensity Relationship (0028,1040) is LOG or DISP. 0 is black and 1 is white, as in
MONOCHROME2. Arrays are (rows, columns), row 0 at the top, as in Pixel Data (7FE0,0010).
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from casgan_dicom.errors import PixelError
from casgan_dicom.pixels.voi_lut import look_up
from casgan_dicom.quoting import quoted
from casgan_dicom.source.cine import Cine
from casgan_dicom.source.elements import numbers
from casgan_dicom.source.shutters import bitmap_frames, shutter_mask, shutter_shapes
from casgan_dicom.source.windows import windows_of

__all__ = ["KNOWN_RELATIONSHIPS", "NOT_FOR_DISPLAY", "Display", "DisplayMapping", "shutter_mask", "to_stored"]

NOT_FOR_DISPLAY = ("LOG", "DISP")
"""Pixel Intensity Relationships whose rescale leads back to X-ray intensity, not to display."""
KNOWN_RELATIONSHIPS = ("LIN", *NOT_FOR_DISPLAY)

_RESCALE = "RescaleSlope (0028,1053), RescaleIntercept (0028,1052)"
_KEPT = 8
"""Tables and masks of a cine that are kept, of each: a mask of 4096 × 4096 has 16 MiB."""

Float = npt.NDArray[np.float64]
_Key = TypeVar("_Key")
_Value = TypeVar("_Value")


@dataclass(frozen=True, eq=False)
class DisplayMapping:
    """How the stored values of one cine become display values.

    A table over all bit patterns of Bits Stored (0028,0101): exact, fast, and deaf to whatever old devices
    left in the bits above.
    """

    table: npt.NDArray[np.float32]
    """Display value in [0, 1] of each bit pattern, float32 (2 ** bits_stored,)."""
    bits_stored: int
    """Bits Stored (0028,0101), 1 to 16."""
    recipe: tuple[str, ...]
    """The choices that were made, in the order of the chain; coded values and numbers only."""
    notes: tuple[str, ...] = ()
    """What was read otherwise than the header says, or passed over, one sentence each."""
    lowest_bit: int = 0
    """Where Bits Stored begin; above 0 where an old device put them at the top (High Bit (0028,0102))."""

    @classmethod
    def from_dataset(cls, ds: Dataset) -> DisplayMapping:
        """Read the mapping from a header.

        Parameters
        ----------
        ds
            Header of a grayscale instance; not changed.

        Returns
        -------
        DisplayMapping
            VOI LUT Sequence (0028,3010) before Window Center (0028,1050), the first of several, else the full
            range of Bits Stored. What cannot be used is passed over and said in the recipe.

        Raises
        ------
        PixelError
            Bits Stored or Photometric Interpretation (0028,0004) is missing or not of a grayscale picture, or
            rescale and window lead to no finite display values.
        """
        bits, signed = _pixel_format(ds)
        recipe = [f"{bits} bit {'signed' if signed else 'unsigned'} {ds.PhotometricInterpretation}"]
        notes: list[str] = []
        lowest = _lowest_bit(ds, bits)
        if lowest:
            recipe.append(f"stored in bits {lowest} to {lowest + bits - 1}")
        stored = np.arange(2**bits, dtype=np.int64)
        if signed:
            stored = np.where(stored >= 2 ** (bits - 1), stored - 2**bits, stored)
        with np.errstate(over="ignore", invalid="ignore"):  # judged by the next lines
            display = _voi(_rescaled(stored.astype(np.float64), ds, recipe, notes), ds, recipe, notes)
        if not np.isfinite(display).all():
            raise PixelError(
                f"display values are not finite ({'; '.join(recipe)}): RescaleSlope (0028,1053),"
                " RescaleIntercept (0028,1052) or the window (0028,1050), (0028,1051) is out of range"
            )
        if ds.PhotometricInterpretation == "MONOCHROME1":
            display = 1.0 - display
        elif ds.get("PresentationLUTShape") == "INVERSE":  # a contradiction, PS3.3 C.8.11.3.1.2
            recipe.append("Presentation LUT INVERSE not applied")
        if ds.get("PresentationLUTSequence"):
            recipe.append("Presentation LUT not applied")
        table = np.clip(display, 0.0, 1.0).astype(np.float32)
        table.setflags(write=False)
        return cls(table, bits, tuple(recipe), tuple(notes), lowest)

    def describe(self) -> str:
        """The choices that were made, one line for Derivation Description (0008,2111)."""
        return "; ".join(self.recipe)

    def apply(self, stored: npt.NDArray[np.integer[Any]]) -> npt.NDArray[np.float32]:
        """Turn stored values into display values.

        Parameters
        ----------
        stored
            Any shape and integer dtype; bits above Bits Stored are ignored.

        Returns
        -------
        float32, the shape of `stored`
            In [0, 1], 0 black.
        """
        return np.asarray(self.table[self.patterns(stored)])

    def patterns(self, stored: npt.NDArray[np.integer[Any]]) -> npt.NDArray[np.uint16]:
        """Where in the table stored values are looked up: uint16, below 2 ** bits_stored, the same shape."""
        # Two's complement of any width and byte order ends up in the low bits, where the table counts.
        words = stored.astype(np.uint16, copy=False) >> np.uint16(self.lowest_bit)
        return np.asarray(words & np.uint16(2**self.bits_stored - 1))


class Display:
    """How every frame of a cine is shown: its mapping, and what its shutters leave visible.

    Frames of an Enhanced object may each have a window and a shutter of their own; all frames of another cine
    share those of its header. Equal ones are worked out once, and only a few tables and masks are kept, so
    memory does not grow with the run. Several threads may ask at once.
    """

    def __init__(self, cine: Cine) -> None:
        """Read the display of a cine from its headers; raises PixelError as `DisplayMapping.from_dataset`."""
        self._cine = cine
        self._turn = Lock()  # tables and masks come and go
        self._vois, self._voi_of = _distinct(cine.frame_vois or (cine.header,))
        self._shutters, self._shutter_of = _distinct(cine.frame_shutters or (cine.header,))
        self._mappings: OrderedDict[int, DisplayMapping] = OrderedDict()
        self._masks: OrderedDict[tuple[int, int], npt.NDArray[np.bool_]] = OrderedDict()
        self._recipes = []
        notes: dict[str, None] = {}
        for voi in range(len(self._vois)):
            mapping = self._mapping(voi)
            self._recipes.append(mapping.recipe)
            notes.update(dict.fromkeys(mapping.notes))
        self.notes = tuple(notes)
        """What was read otherwise than the headers say, one sentence each."""

    @classmethod
    def of(cls, cine: Cine) -> Display:
        """Read the display of a cine from its headers.

        Raises
        ------
        PixelError
            The mapping of a frame cannot be read, see `DisplayMapping.from_dataset`.
        """
        return cls(cine)

    def apply(self, k: int, stored: npt.NDArray[np.integer[Any]]) -> npt.NDArray[np.float32]:
        """Turn the stored values of frame `k`, from 0 over the whole cine, into display values in [0, 1]."""
        return self._mapping(_at(self._voi_of, k)).apply(stored)

    def visible(self, k: int) -> npt.NDArray[np.bool_]:
        """Say where frame `k`, from 0 over the whole cine, is visible: bool (rows, columns), read-only."""
        shutter = _at(self._shutter_of, k)
        ds = self._shutters[shutter]
        key = shutter, k if bitmap_frames(ds) > 1 else 0
        with self._turn:
            if key not in self._masks:
                mask = shutter_mask(ds, self._cine.rows, self._cine.columns, key[1])
                mask.setflags(write=False)
                _keep(self._masks, key, mask)
            return self._masks[key]

    def mapping_of(self, k: int) -> tuple[int, DisplayMapping]:
        """How frame `k` is looked up, and its number: frames of one number are looked up alike."""
        voi = _at(self._voi_of, k)
        return voi, self._mapping(voi)

    def shutter_of(self, k: int) -> int | None:
        """The first frame that shows what is visible of frame `k`; None where no shutter hides anything."""
        shutter = _at(self._shutter_of, k)
        ds = self._shutters[shutter]
        if not shutter_shapes(ds):
            return None
        return k if bitmap_frames(ds) > 1 else self._shutter_of.index(shutter)

    def describe(self) -> str:
        """The choices that were made, one line for Derivation Description (0008,2111).

        Where frames differ, the choices that most of them share, and how many have others.
        """
        counts = Counter(self._recipes[voi] for voi in self._voi_of)
        (most, share), *others = counts.most_common()
        text = "; ".join(most)
        if others:
            rest = len(self._voi_of) - share
            text += f" (frame by frame: {rest} of {len(self._voi_of)} frames in {len(others)} other ways)"
        return text

    def _mapping(self, voi: int) -> DisplayMapping:
        with self._turn:
            if voi not in self._mappings:
                _keep(self._mappings, voi, DisplayMapping.from_dataset(self._vois[voi]))
            return self._mappings[voi]


def _distinct(looks: Sequence[Dataset]) -> tuple[list[Dataset], list[int]]:
    """The different objects among headers, and for each header which of them it is."""
    numbers: dict[int, int] = {}
    of = [numbers.setdefault(id(look), len(numbers)) for look in looks]
    return list({id(look): look for look in looks}.values()), of


def _at(of: Sequence[int], k: int) -> int:
    """What applies to frame `k`, where one entry stands for all frames."""
    return of[0] if len(of) == 1 else of[k]


def _keep(kept: OrderedDict[_Key, _Value], key: _Key, value: _Value) -> None:
    """Add to what is kept, and let the oldest go."""
    kept[key] = value
    if len(kept) > _KEPT:
        kept.popitem(last=False)


def to_stored(display: npt.NDArray[np.floating[Any]], bits: int = 8) -> npt.NDArray[np.unsignedinteger[Any]]:
    """Turn display values into stored values of a MONOCHROME2 output without window.

    Parameters
    ----------
    display
        Any shape; values outside [0, 1] are clipped.
    bits
        Bits Stored of the output, 8 to 16.

    Returns
    -------
    uint8 for 8 bits, uint16 above; the shape of `display`
        0 to 2 ** bits - 1, rounded to the nearest.

    Raises
    ------
    PixelError
        `display` holds NaN or infinity: nothing that a picture could mean.
    """
    if not np.isfinite(display).all():
        bad = int(display.size - np.isfinite(display).sum())
        raise PixelError(f"{bad} of {display.size} display values are not finite")
    levels = np.rint(np.clip(display, 0.0, 1.0) * (2**bits - 1))
    return np.asarray(levels, dtype=np.uint8 if bits == 8 else np.uint16)


def _pixel_format(ds: Dataset) -> tuple[int, bool]:
    """Bits Stored, and whether the values are signed."""
    bits, signed = ds.get("BitsStored"), ds.get("PixelRepresentation", 0)
    if not isinstance(bits, int) or not 1 <= bits <= 16:
        raise PixelError(f"BitsStored (0028,0101) is {bits}, need 1 to 16")
    if signed not in (0, 1):
        raise PixelError(f"PixelRepresentation (0028,0103) is {signed}, need 0 or 1")
    photometric = ds.get("PhotometricInterpretation")
    if photometric not in ("MONOCHROME1", "MONOCHROME2"):
        found = quoted(photometric, "CS")
        raise PixelError(f"PhotometricInterpretation (0028,0004) is {found}, need MONOCHROME1 or MONOCHROME2")
    return bits, bool(signed)


def _lowest_bit(ds: Dataset, bits: int) -> int:
    """Which bit of a word is the lowest of the stored value."""
    high = ds.get("HighBit")
    return high + 1 - bits if isinstance(high, int) and bits <= high < 16 else 0


def _term(code: str) -> str:
    """A code that may be shown; otherwise what it is not, since it may be anything."""
    return quoted(code, "CS").strip("'")


def _rescaled(values: Float, ds: Dataset, recipe: list[str], notes: list[str]) -> Float:
    """Values that the VOI stage expects: rescaled, unless the rescale leads back to X-ray intensity."""
    relationship = str(ds.get("PixelIntensityRelationship") or "")
    if relationship:
        known = relationship in KNOWN_RELATIONSHIPS
        recipe.append(f"intensity {relationship if known else _term(relationship) + ' (unknown)'}")
    if ds.get("ModalityLUTSequence"):
        recipe.append("Modality LUT not applied")
    slope, intercept = numbers(ds, "RescaleSlope"), numbers(ds, "RescaleIntercept")
    if len(slope) != 1 or len(intercept) != 1:
        if (slope or [1.0], intercept or [0.0]) != ([1.0], [0.0]):
            recipe.append("rescale not applied (slope or intercept is no number)")
            notes.append(f"{_RESCALE}: one of them is no number, the rescale is not applied")
        return values
    if (slope[0], intercept[0]) == (1.0, 0.0):
        return values
    if relationship in NOT_FOR_DISPLAY or slope[0] == 0:
        recipe.append("rescale not applied")
        return values
    recipe.append(f"rescale {slope[0]:g}/{intercept[0]:g}")
    return values * slope[0] + intercept[0]


def _voi(values: Float, ds: Dataset, recipe: list[str], notes: list[str]) -> Float:
    """Values in [0, 1] after the first VOI LUT, else the first usable window, else over the full range."""
    if items := ds.get("VOILUTSequence"):
        looked_up = look_up(values, items[0], ds)
        recipe.append(looked_up.recipe)
        notes += [looked_up.note] if looked_up.note else []
        if looked_up.display is not None:
            return looked_up.display
    windows = windows_of(ds)
    if windows.pairs and (stated := windows.pairs[0]) != windows.chosen:
        name = "/".join("?" if number is None else f"{number:g}" for number in stated)
        recipe.append(f"window {name} not applied ({'no number' if None in stated else 'width'})")
    if windows.chosen is not None:
        return _windowed(values, windows.chosen, windows.function, recipe)
    low, high = float(values.min()), float(values.max())
    recipe.append(f"full range {low:g}..{high:g}")
    return (values - low) / (high - low)


def _windowed(values: Float, window: tuple[float, float], function: str, recipe: list[str]) -> Float:
    """The window's function, PS3.3 C.11.2.1.2 and C.11.2.1.3."""
    center, width = window
    name = f"window {center:g}/{width:g}"
    if function == "SIGMOID":
        recipe.append(f"{name} SIGMOID")
        # exp(700) is the last power that float64 holds, and 1 / (1 + that) is 0 for every display.
        return 1.0 / (1.0 + np.exp(np.clip(-4.0 * (values - center) / width, -700.0, 700.0)))
    if function == "LINEAR_EXACT":
        recipe.append(f"{name} LINEAR_EXACT")
    else:
        recipe.append(
            f"{name} LINEAR" + ("" if function == "LINEAR" else f" (for unknown {_term(function)})")
        )
        center, width = center - 0.5, width - 1.0
    if width == 0:
        return (values > center).astype(np.float64)
    return np.clip((values - center) / width + 0.5, 0.0, 1.0)
