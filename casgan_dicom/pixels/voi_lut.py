"""VOI LUT Sequence (0028,3010): stored or rescaled values to display values by a table, PS3.3 C.11.2.1.1.

What a descriptor says of its table may be wrong: the bits of its entries are told by the values that it has,
since a table of 12 bits that is said to have 16 would show all nearly black, and one of 16 that is said to
have 12 nearly white.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from casgan_dicom.source.elements import numbers, several, swap_bytes

Float = npt.NDArray[np.float64]

_BITS = range(8, 17)
"""Bits that entries of a table may have."""
_DESCRIPTOR = "LUTDescriptor (0028,3002)"


@dataclass(frozen=True)
class LookedUp:
    """What became of a VOI LUT."""

    display: Float | None
    """Display values in [0, 1]; None where the table cannot be used."""
    recipe: str
    """What was done, for the recipe of the display."""
    note: str = ""
    """What was read otherwise than the descriptor says, or passed over; empty for nothing."""


def look_up(values: Float, item: Dataset, ds: Dataset) -> LookedUp:
    """Send values through the table of one item.

    Parameters
    ----------
    values
        Stored or rescaled values, any shape.
    item
        Item of VOI LUT Sequence (0028,3010).
    ds
        The header that it is from, for its byte order.
    """
    descriptor = numbers(item, "LUTDescriptor")
    if len(descriptor) != 3:
        return _passed_over("descriptor", f"{_DESCRIPTOR} has {len(descriptor)} numbers, need 3")
    # 0 entries mean 65,536; the first value mapped has the sign of what goes into the table.
    entries, said = int(descriptor[0]) or 2**16, int(descriptor[2])
    first = _first_mapped(descriptor[1], entries, values)
    lut = _lut_data(item, entries, ds)
    if len(lut) < entries:
        found = f"LUTData (0028,3006) has {len(lut)} values, {_DESCRIPTOR} says {entries}"
        return _passed_over("fewer data than entries", found)
    lut = lut[:entries]
    top = int(lut.max())
    depth = _depth(top, said)
    note = "" if depth == said else _misjudged(depth, said, top)
    recipe = f"VOI LUT of {entries} entries from {first:g}, {depth} bit" + (f" (said {said})" if note else "")
    index = np.clip(np.floor(values - first), 0, entries - 1).astype(np.int64)
    return LookedUp(np.clip(lut[index] / (2.0**depth - 1.0), 0.0, 1.0), recipe, note)


def _first_mapped(first: float, entries: int, values: Float) -> float:
    """The first value mapped, which sixteen bits hold with a sign or without, whatever it was written as.

    Where the table lies beside all values as it was read, and between them with the other sign, it is that.
    """
    low, high = float(values.min()), float(values.max())
    beside = first > high or first + entries - 1 < low
    other = first - 2**16 if first >= 2**15 else first + 2**16 if first < 0 else first
    return other if beside and low <= other + entries - 1 and other <= high else first


def _depth(top: int, said: int) -> int:
    """Bits of a table whose highest value is `top`; what is said where it fits, and eight are the fewest.

    One value beyond the range of its bits, such as 4096, is counted to them.
    """
    if said in _BITS and (top == 0 or top.bit_length() == said):
        return said
    return max((top - 1).bit_length() if top else 0, _BITS[0])


def _misjudged(depth: int, said: int, top: int) -> str:
    return f"{_DESCRIPTOR} of the VOI LUT says {said} bits, its values go up to {top}: read as {depth} bits"


def _passed_over(why: str, found: str) -> LookedUp:
    return LookedUp(None, f"VOI LUT not applied ({why})", f"VOI LUT not applied: {found}")


def _lut_data(item: Dataset, entries: int, ds: Dataset) -> Float:
    """LUT Data (0028,3006) as numbers, whether written as US, as OW, or as bytes packed into either."""
    data = item.get("LUTData")
    if isinstance(data, bytes):
        little = ds.original_encoding[1] is not False
        if len(data) == entries + entries % 2:  # bytes, one for each entry, in words of two
            packed = data if little or item["LUTData"].VR != "OW" else swap_bytes(data)
            return np.frombuffer(packed, np.uint8).astype(np.float64)
        lut = np.frombuffer(data[: len(data) // 2 * 2], dtype="<u2" if little else ">u2")
        return lut.astype(np.float64)
    words = np.asarray(several(data), dtype=np.float64)
    if 2 * len(words) == entries + entries % 2 and words.max() > 255:
        return words.astype("<u2").view(np.uint8).astype(np.float64)
    return words
