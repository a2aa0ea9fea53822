"""Values of DICOM elements as plain Python, whatever a header made of them."""

from __future__ import annotations

import math
from typing import Any

from pydicom.dataset import Dataset


def several(value: object) -> list[Any]:
    """The values of an element as a list, whether it holds none, one or many."""
    if value is None or value == "":
        return []
    return list(value) if hasattr(value, "__iter__") and not isinstance(value, str | bytes) else [value]


def numbers(ds: Dataset, keyword: str) -> list[float]:
    """The values of an element as finite numbers; empty where one of them is none."""
    try:
        found = [float(value) for value in several(ds.get(keyword))]
    except (TypeError, ValueError):
        return []
    return found if all(math.isfinite(number) for number in found) else []
