"""Dates (DA), times (TM) and both in one (DT) as PS3.5 6.2 wants them, however a file writes them.

ACR-NEMA wrote ``2024.01.02`` and ``10:15:00``, others write ISO 8601 or leave out a zero: what can mean only
one thing is read as that, both for the clock of a run and for what is copied into a new object. Each function
gives the legal text, and None for what is no such value.
"""

from __future__ import annotations

import re
from datetime import date

_DATE = re.compile(r"(\d{4})(?:(\d{2})(\d{2})|([-./])(\d{1,2})\4(\d{1,2}))")
_TIME = re.compile(r"(\d{2})(?:(\d{2})(?:(\d{2})(?:[.,](\d*))?)?)?")
_PARTED_TIME = re.compile(r"(\d{1,2}):(\d{1,2})(?::(\d{1,2})(?:[.,](\d*))?)?|(\d{1,2})([.-])(\d{2})\6(\d{2})")
_DATETIME = re.compile(
    r"(\d{4}(?:\d{4}|([-./])\d{1,2}\2\d{1,2}))(?:[T ]?([\d:.,]+?))? ?(Z|[+-]\d{2}:?\d{2})?"
)
_PARTIAL_DATETIME = re.compile(r"\d{4}((0[1-9]|1[0-2]))?([+-]\d{4})?")
_ZONE = re.compile(r"([+-])(\d{2}):?(\d{2})")


def legal_date(text: str) -> str | None:
    """A date as YYYYMMDD."""
    match = _DATE.fullmatch(text.strip())
    if match is None:
        return None
    year, month, day = match[1], match[2] or match[5], match[3] or match[6]
    try:
        date(int(year), int(month), int(day))
    except ValueError:
        return None
    return f"{year}{int(month):02d}{int(day):02d}"


def legal_time(text: str) -> str | None:
    """A time as HH, HHMM, HHMMSS or HHMMSS.FFFFFF."""
    text = text.strip()
    match, parted = _TIME.fullmatch(text), _PARTED_TIME.fullmatch(text)
    if match is not None:
        *parts, fraction = match.groups()
    elif parted is not None and parted[1]:
        *parts, fraction = parted.groups()[:4]
    elif parted is not None:
        parts, fraction = [parted[5], parted[7], parted[8]], None
    else:
        return None
    numbers = [int(part) for part in parts if part is not None]
    if any(a > b for a, b in zip(numbers, (23, 59, 60), strict=False)):  # the 60th second is a leap second
        return None
    return "".join(f"{number:02d}" for number in numbers) + (f".{fraction[:6]}" if fraction else "")


def legal_datetime(text: str) -> str | None:
    """A date with a time and an offset from UTC, as far as they are there."""
    text = text.strip()
    if _PARTIAL_DATETIME.fullmatch(text):  # a year, or a year and a month
        return text
    match = _DATETIME.fullmatch(text)
    if match is None:
        return None
    day, clock = legal_date(match[1]), legal_time(match[3]) if match[3] else ""
    zone = legal_zone(match[4]) if match[4] else ""
    return None if day is None or clock is None or zone is None else f"{day}{clock}{zone}"


def legal_zone(text: str) -> str | None:
    """Offset from UTC as &ZZXX."""
    if text == "Z":
        return "+0000"
    match = _ZONE.fullmatch(text)
    if match is None or int(match[2]) > 14 or int(match[3]) > 59:
        return None
    return "".join(match.groups())
