"""Office hours, over midnight and over changes of the clock."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casgan_dicom.node.hours import next_opening, open_seconds, spans

BERLIN = "Europe/Berlin"
"""On 29 March 2026 the clock goes from 2:00 to 3:00, on 25 October from 3:00 back to 2:00."""


def at(text: str, zone: str = BERLIN, fold: int = 0) -> float:
    """The moment at which a clock shows this: seconds since 1970."""
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold).timestamp()


def shown(moment: float, zone: str = BERLIN) -> str:
    return datetime.fromtimestamp(moment, ZoneInfo(zone)).strftime("%Y-%m-%dT%H:%M:%S%z")


NIGHTS = ["Mon-Fri 18:00-07:00", "Sat-Sun"]


@pytest.mark.parametrize(
    ("now", "opens"),
    [
        ("2026-12-01T12:00", "2026-12-01T18:00"),  # a Tuesday
        ("2026-12-01T17:59:59.999", "2026-12-01T18:00"),
        ("2026-12-01T18:00", None),
        ("2026-12-02T06:59:59", None),
        ("2026-12-02T07:00", "2026-12-02T18:00"),
        ("2026-12-04T23:00", None),  # Friday
        ("2026-12-05T12:00", None),
        ("2026-12-06T23:59", None),
        ("2026-12-07T00:00", "2026-12-07T18:00"),  # Sunday's night is no weekday's
    ],
)
def test_nights_and_weekends(now: str, opens: str | None) -> None:
    assert shown(next_opening(NIGHTS, BERLIN, at(now))) == shown(at(opens or now))


@pytest.mark.parametrize(
    ("hours", "now", "opens"),
    [
        (["Fri-Mon 10:00-11:00"], "2026-12-01T12:00", "2026-12-04T10:00"),
        (["Wed"], "2026-12-03T00:00", "2026-12-09T00:00"),
        (["Sun 22:00-06:00"], "2026-12-07T06:00", "2026-12-13T22:00"),  # over the end of the week
        (["Sun 22:00-06:00"], "2026-12-07T05:59", "2026-12-07T05:59"),
        (["22:00-06:00"], "2026-12-01T12:00", "2026-12-01T22:00"),
        (["00:00-24:00"], "2026-12-01T12:00", "2026-12-01T12:00"),
        (["Tue 12:30-24:00"], "2026-12-01T12:00", "2026-12-01T12:30"),
        ([], "2026-12-01T12:00", "2026-12-01T12:00"),
    ],
)
def test_forms_of_hours(hours: list[str], now: str, opens: str) -> None:
    assert shown(next_opening(hours, BERLIN, at(now))) == shown(at(opens))


@pytest.mark.parametrize(
    ("hours", "now", "opens"),
    [
        # in spring, 2:00 to 3:00 is not there
        (["02:30-05:00"], "2026-03-29T01:59", "2026-03-29T03:00"),
        (["02:15-02:45"], "2026-03-29T01:59", "2026-03-30T02:15"),
        (["Sun 02:15-02:45"], "2026-03-29T01:59", "2026-04-05T02:15"),
        (["03:00-04:00"], "2026-03-28T12:00", "2026-03-29T03:00"),
        (["Mon 08:00-09:00"], "2026-03-28T12:00", "2026-03-30T08:00"),
        (["Mon 08:00-09:00"], "2026-10-24T12:00", "2026-10-26T08:00"),
    ],
)
def test_a_change_of_the_clock(hours: list[str], now: str, opens: str) -> None:
    assert shown(next_opening(hours, BERLIN, at(now))) == shown(at(opens))


def test_what_the_clock_shows_twice_is_open_twice() -> None:
    hours = ["02:15-02:45"]
    first, second = at("2026-10-25T02:15"), at("2026-10-25T02:15", fold=1)
    assert second - first == 3600
    assert next_opening(hours, BERLIN, at("2026-10-25T01:00")) == first
    assert next_opening(hours, BERLIN, at("2026-10-25T02:45")) == second


def test_without_a_zone_the_clock_is_that_of_the_machine() -> None:
    now = datetime(2026, 12, 1, 12, 0).timestamp()  # local time is meant
    assert next_opening(["Tue 18:00-19:00"], "", now) == now + 6 * 3600


@pytest.mark.parametrize(
    ("hours", "since", "until", "seconds"),
    [
        (["18:00-19:00"], "2026-12-01T18:30", "2026-12-03T18:15", 1800 + 3600 + 900),
        (["18:00-19:00"], "2026-12-01T19:30", "2026-12-02T17:00", 0),
        (["02:15-02:45"], "2026-10-25T00:00", "2026-10-25T12:00", 3600),
        (["02:15-02:45"], "2026-03-29T00:00", "2026-03-29T12:00", 0),
        (["Mon-Sun"], "2026-03-28T12:00", "2026-03-29T12:00", 23 * 3600),
        ([], "2026-10-24T12:00", "2026-10-25T12:00", 25 * 3600),
    ],
)
def test_how_long_it_was_open(hours: list[str], since: str, until: str, seconds: float) -> None:
    assert open_seconds(hours, BERLIN, at(since), at(until)) == seconds


_days = st.sampled_from(["", "Mon", "Tue-Thu", "Fri-Mon", "Sat-Sun", "Sun"])
_spans = st.sampled_from(["", "00:00-00:01", "02:10-02:50", "22:30-03:15", "23:59-24:00", "08:00-17:30"])
_texts = st.tuples(_days, _spans).map(lambda pair: " ".join(filter(None, pair))).filter(bool)
_moments = st.floats(at("2026-03-20T00:00"), at("2026-04-05T00:00")) | st.floats(
    at("2026-10-20T00:00"), at("2026-11-01T00:00")
)
_zones = st.sampled_from([BERLIN, "America/St_Johns", "Australia/Lord_Howe", "Asia/Kathmandu", "UTC"])


@given(st.lists(_texts, min_size=1, max_size=3), _zones, _moments)
def test_it_opens_at_the_first_minute_at_which_the_clock_says_so(
    hours: list[str], zone: str, now: float
) -> None:
    """The oracle looks at the clock for every minute."""
    opens = next_opening(hours, zone, now)

    assert _is_open(hours, zone, opens)
    assert not any(_is_open(hours, zone, minute) for minute in _minutes(now, opens))


def _minutes(begin: float, end: float) -> Iterator[float]:
    minute = begin
    while minute < end:
        yield minute
        minute = (minute // 60 + 1) * 60


def _is_open(hours: list[str], zone: str, moment: float) -> bool:
    """What people do: look at the clock, and at the day; after midnight, also at the day before."""
    clock = datetime.fromtimestamp(moment, UTC).astimezone(ZoneInfo(zone))
    time, names = clock.strftime("%H:%M"), ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
    today = names[clock.weekday()]
    yesterday = names[(clock.date() - timedelta(days=1)).weekday()]
    for text in hours:
        *days, span = text.split(" ") if ":" in text else (*text.split(" "), "00:00-24:00")
        begin, end = span.split("-")
        first, _, last = (days[0] if days else "Mon-Sun").partition("-")
        turned = names[names.index(first) :] + names[: names.index(first)]
        chosen = turned[: turned.index(last or first) + 1]
        if begin < end and today in chosen and begin <= time < end:
            return True
        if begin > end and ((today in chosen and time >= begin) or (yesterday in chosen and time < end)):
            return True
    return False


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "mon", "Monday", "Mon-", "-Fri", "Mon-Fri-Sat", "Mon,Tue", "18:00", "18:00-", "18-19",
        "8:00-9:00", "18:00-18:00", "24:00-06:00", "18:60-19:00", "25:00-26:00", "18:00-24:01", "Mon 18:00",
        "Mon  18:00-19:00", "Mon18:00-19:00", " 18:00-19:00", "18:00-19:00 Mon", "Mon 18:00-19:00\n",
        "\u0661\u0668:00-19:00",
    ],
)  # fmt: skip
def test_no_hours(text: str) -> None:
    with pytest.raises(ValueError, match="is no"):
        spans(text)
