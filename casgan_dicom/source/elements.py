"""Values of DICOM elements as plain Python, whatever a header made of them."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from typing import Any

from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence as Items

_EXACT = 2**53
"""Below it, an integer and the same float are one number."""


def several(value: object) -> list[Any]:
    """The values of an element as a list, whether it holds none, one or many."""
    if value is None or value == "":
        return []
    return list(value) if hasattr(value, "__iter__") and not isinstance(value, str | bytes) else [value]


def numbers(ds: Dataset, keyword: str) -> list[float]:
    """The values of an element as finite numbers; empty where one of them is none."""
    found = numbers_or_gaps(ds, keyword)
    known = [number for number in found if number is not None]
    return known if len(known) == len(found) else []


def numbers_or_gaps(ds: Dataset, keyword: str) -> list[float | None]:
    """The values of an element as finite numbers, each in its place; None for one that is none."""
    return [finite_number(value) for value in several(ds.get(keyword))]


def finite_number(value: object) -> float | None:
    """The value as a finite number; None for whatever is none."""
    try:
        number = float(value)  # type: ignore[arg-type]  # whatever the header holds
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def integer(value: object) -> int:
    """The value as an integer; 0 for nothing, for several values and for whatever else is none."""
    if isinstance(value, int):
        return int(value)
    return int(value) if isinstance(value, float) and math.isfinite(value) else 0


def written_integer(value: object) -> int:
    """The value where it is written as an integer; 0 for whatever else, a fraction among it."""
    return int(value) if isinstance(value, int) else 0


def plain(value: object) -> Hashable:
    """A value of any element as something to compare: 1 and 1.0 are the same, as are absent and empty."""
    if isinstance(value, Dataset):
        return tuple((int(element.tag), plain(element.value)) for element in value)
    if isinstance(value, MultiValue | Items | list | tuple):
        return tuple(plain(one) for one in value) or None
    if isinstance(value, int | float):
        return float(value) if -_EXACT < value < _EXACT else repr(value)
    return value if isinstance(value, bytes) else str(value or "").strip() or None


def plain_values(value: object) -> tuple[Hashable, ...]:
    """The values of an element, compared like `plain`, whether it holds none, one or many."""
    found = plain(value)
    return found if isinstance(found, tuple) else () if found is None else (found,)


def one_text(ds: Dataset, keyword: str) -> str:
    """The value of an element as text without spaces around; empty where it has none or several."""
    values = several(ds.get(keyword))
    return str(values[0]).strip() if len(values) == 1 else ""


def items_of(ds: Dataset, keyword: str) -> Sequence[Dataset]:
    """The items of a sequence; none where it is absent or no sequence."""
    value = ds.get(keyword)
    return value if isinstance(value, Items) else ()


def swap_bytes(data: bytes) -> bytes:
    """Words of two bytes in the other byte order; an odd byte at the end goes."""
    words = bytearray(data[: len(data) // 2 * 2])
    words[::2], words[1::2] = words[1::2], words[::2]
    return bytes(words)
