"""Stored pixel values to display values in [0, 1], and back to stored values of the output.

Everything that knows what a stored value means lives here; the model sees only float arrays and never a
tag. The chain for one frame (PS3.3 C.11.1, C.11.2, PS3.4 N.2):

    stored value → (rescale) → VOI LUT, or window, or full stored range → MONOCHROME1 inverted → [0, 1]

A Modality LUT of an X-ray run maps *back* to X-ray intensity and is not for display: it is never applied, nor
is a rescale where Pixel Intensity Relationship (0028,1040) is LOG or DISP. 0 is black and 1 is white, as in
MONOCHROME2. Arrays are (rows, columns), row 0 at the top, as in Pixel Data (7FE0,0010).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from casgan_dicom.errors import PixelError

NOT_FOR_DISPLAY = ("LOG", "DISP")
"""Pixel Intensity Relationships whose rescale leads back to X-ray intensity, not to display."""
KNOWN_RELATIONSHIPS = ("LIN", *NOT_FOR_DISPLAY)

Float = npt.NDArray[np.float64]


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
        stored = np.arange(2**bits, dtype=np.int64)
        if signed:
            stored = np.where(stored >= 2 ** (bits - 1), stored - 2**bits, stored)
        with np.errstate(over="ignore", invalid="ignore"):  # judged by the next lines
            display = _voi(_rescaled(stored.astype(np.float64), ds, recipe), ds, recipe)
        if not np.isfinite(display).all():
            raise PixelError(
                f"display values are not finite ({'; '.join(recipe)}): RescaleSlope (0028,1053),"
                " RescaleIntercept (0028,1052) or the window (0028,1050), (0028,1051) is out of range"
            )
        if ds.PhotometricInterpretation == "MONOCHROME1":
            display = 1.0 - display
        table = np.clip(display, 0.0, 1.0).astype(np.float32)
        table.setflags(write=False)
        return cls(table, bits, tuple(recipe))

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
        # Two's complement of any width and byte order ends up in the low bits, where the table counts.
        pattern = stored.astype(np.uint16, copy=False) & np.uint16(2**self.bits_stored - 1)
        return np.asarray(self.table[pattern])


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


def shutter_mask(ds: Dataset, rows: int, columns: int) -> npt.NDArray[np.bool_]:
    """Say where the picture is visible between its shutters.

    Parameters
    ----------
    ds
        Header with a Display Shutter Module; Shutter Shape (0018,1600) may name several shapes.
    rows, columns
        Size of the picture.

    Returns
    -------
    bool (rows, columns)
        True where no shutter covers the picture; True everywhere without shutters. A shape without its
        geometry covers nothing.

    Notes
    -----
    PS3.3 C.7.6.11: rows and columns count from 1, edges and rims belong to what is visible.
    """
    visible = np.ones((rows, columns), dtype=np.bool_)
    row = np.arange(1, rows + 1, dtype=np.float64)[:, None]
    column = np.arange(1, columns + 1, dtype=np.float64)[None, :]
    shapes = _several(ds.get("ShutterShape"))
    if "RECTANGULAR" in shapes:
        visible &= _in_rectangle(ds, row, column)
    if "CIRCULAR" in shapes:
        centre, radius = _numbers(ds, "CenterOfCircularShutter"), _numbers(ds, "RadiusOfCircularShutter")
        if len(centre) == 2 and len(radius) == 1:
            visible &= (row - centre[0]) ** 2 + (column - centre[1]) ** 2 <= radius[0] ** 2
    if "POLYGONAL" in shapes:
        vertices = _numbers(ds, "VerticesOfThePolygonalShutter")
        if len(vertices) >= 6 and len(vertices) % 2 == 0:
            visible &= _in_polygon(np.reshape(vertices, (-1, 2)), row, column)
    return visible


def _pixel_format(ds: Dataset) -> tuple[int, bool]:
    """Bits Stored, and whether the values are signed."""
    bits, signed = ds.get("BitsStored"), ds.get("PixelRepresentation", 0)
    if not isinstance(bits, int) or not 1 <= bits <= 16:
        raise PixelError(f"BitsStored (0028,0101) is {bits}, need 1 to 16")
    if signed not in (0, 1):
        raise PixelError(f"PixelRepresentation (0028,0103) is {signed}, need 0 or 1")
    photometric = ds.get("PhotometricInterpretation")
    if photometric not in ("MONOCHROME1", "MONOCHROME2"):
        raise PixelError(
            f"PhotometricInterpretation (0028,0004) is '{photometric}', need MONOCHROME1 or MONOCHROME2"
        )
    return bits, bool(signed)


def _rescaled(values: Float, ds: Dataset, recipe: list[str]) -> Float:
    """Values that the VOI stage expects: rescaled, unless the rescale leads back to X-ray intensity."""
    relationship = str(ds.get("PixelIntensityRelationship") or "")
    if relationship:
        known = "" if relationship in KNOWN_RELATIONSHIPS else " (unknown)"
        recipe.append(f"intensity {relationship}{known}")
    if ds.get("ModalityLUTSequence"):
        recipe.append("Modality LUT not applied")
    slope, intercept = _numbers(ds, "RescaleSlope"), _numbers(ds, "RescaleIntercept")
    if len(slope) != 1 or len(intercept) != 1 or (slope[0], intercept[0]) == (1.0, 0.0):
        return values
    if relationship in NOT_FOR_DISPLAY or slope[0] == 0:
        recipe.append("rescale not applied")
        return values
    recipe.append(f"rescale {slope[0]:g}/{intercept[0]:g}")
    return values * slope[0] + intercept[0]


def _voi(values: Float, ds: Dataset, recipe: list[str]) -> Float:
    """Values in [0, 1] after the first VOI LUT, else the first usable window, else over the full range."""
    if items := ds.get("VOILUTSequence"):
        looked_up = _looked_up(values, items[0], ds, recipe)
        if looked_up is not None:
            return looked_up
    centers, widths = _numbers(ds, "WindowCenter"), _numbers(ds, "WindowWidth")
    if centers and widths:
        windowed = _windowed(values, (centers[0], widths[0]), ds, recipe)
        if windowed is not None:
            return windowed
    low, high = float(values.min()), float(values.max())
    recipe.append(f"full range {low:g}..{high:g}")
    return (values - low) / (high - low)


def _windowed(values: Float, window: tuple[float, float], ds: Dataset, recipe: list[str]) -> Float | None:
    """The window's function, PS3.3 C.11.2.1.2 and C.11.2.1.3; None where its width is not legal."""
    center, width = window
    function = str(ds.get("VOILUTFunction") or "LINEAR").upper()
    name = f"window {center:g}/{width:g}"
    if width <= 0 or (function not in ("LINEAR_EXACT", "SIGMOID") and width < 1):
        recipe.append(f"{name} not applied (width)")
        return None
    if function == "SIGMOID":
        recipe.append(f"{name} SIGMOID")
        # exp(700) is the last power that float64 holds, and 1 / (1 + that) is 0 for every display.
        return 1.0 / (1.0 + np.exp(np.clip(-4.0 * (values - center) / width, -700.0, 700.0)))
    if function == "LINEAR_EXACT":
        recipe.append(f"{name} LINEAR_EXACT")
    else:
        recipe.append(f"{name} LINEAR" + ("" if function == "LINEAR" else f" (for unknown {function})"))
        center, width = center - 0.5, width - 1.0
    if width == 0:
        return (values > center).astype(np.float64)
    return np.clip((values - center) / width + 0.5, 0.0, 1.0)


def _looked_up(values: Float, item: Dataset, ds: Dataset, recipe: list[str]) -> Float | None:
    """Values through a VOI LUT, PS3.3 C.11.2.1.1; None with a word where the LUT is not complete."""
    descriptor = _numbers(item, "LUTDescriptor")
    if len(descriptor) != 3 or not 8 <= descriptor[2] <= 16:
        recipe.append("VOI LUT not applied (descriptor)")
        return None
    # 0 entries mean 65,536; the first value mapped has the sign of the pixels even where it was read as US.
    entries, first, depth = int(descriptor[0]) or 2**16, descriptor[1], int(descriptor[2])
    if ds.get("PixelRepresentation") == 1 and first >= 2**15:
        first -= 2**16
    lut = _lut_data(item, entries, ds)
    if lut is None:
        recipe.append("VOI LUT not applied (fewer data than entries)")
        return None
    recipe.append(f"VOI LUT of {entries} entries from {first:g}, {depth} bit")
    index = np.clip(np.floor(values - first), 0, entries - 1).astype(np.int64)
    return np.asarray(np.clip(lut[index] / (2.0**depth - 1.0), 0.0, 1.0))


def _lut_data(item: Dataset, entries: int, ds: Dataset) -> Float | None:
    """LUT Data (0028,3006) as numbers, whether it was written as US, as OW, or as packed bytes."""
    data = item.get("LUTData")
    if isinstance(data, bytes):
        little = ds.original_encoding[1] is not False
        dtype = np.dtype("u1" if len(data) < 2 * entries else "<u2" if little else ">u2")
        lut = np.frombuffer(data[: len(data) // dtype.itemsize * dtype.itemsize], dtype=dtype)
    else:
        lut = np.asarray(_several(data), dtype=np.float64)
    return lut[:entries].astype(np.float64) if len(lut) >= entries else None


def _in_rectangle(ds: Dataset, row: Float, column: Float) -> npt.NDArray[np.bool_]:
    """Between the edges of the rectangular shutter; an edge that is missing lies outside the picture."""
    left = (_numbers(ds, "ShutterLeftVerticalEdge") or [-math.inf])[0]
    right = (_numbers(ds, "ShutterRightVerticalEdge") or [math.inf])[0]
    upper = (_numbers(ds, "ShutterUpperHorizontalEdge") or [-math.inf])[0]
    lower = (_numbers(ds, "ShutterLowerHorizontalEdge") or [math.inf])[0]
    return np.asarray((column >= left) & (column <= right) & (row >= upper) & (row <= lower))


def _in_polygon(vertices: Float, row: Float, column: Float) -> npt.NDArray[np.bool_]:
    """Inside the polygon of (row, column) vertices by the even-odd rule, its lower and right rim excepted."""
    inside = np.zeros(np.broadcast_shapes(row.shape, column.shape), dtype=np.bool_)
    for (r0, c0), (r1, c1) in zip(vertices, np.roll(vertices, -1, axis=0), strict=True):
        if r0 != r1:
            crosses = (row < r0) != (row < r1)
            inside ^= crosses & (column < c0 + (row - r0) * (c1 - c0) / (r1 - r0))
    return inside


def _several(value: object) -> list[Any]:
    """The values of an element as a list, whether it holds none, one or many."""
    if value is None or value == "":
        return []
    return list(value) if hasattr(value, "__iter__") and not isinstance(value, str | bytes) else [value]


def _numbers(ds: Dataset, keyword: str) -> list[float]:
    """The values of an element as finite numbers; empty where one of them is none."""
    try:
        numbers = [float(value) for value in _several(ds.get(keyword))]
    except (TypeError, ValueError):
        return []
    return numbers if all(math.isfinite(number) for number in numbers) else []
