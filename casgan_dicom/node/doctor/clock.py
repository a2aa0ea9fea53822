"""The clock: does it go, is it set, and does the machine know the time zones that the settings name?"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from time import monotonic, sleep, time
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from casgan_dicom.node import hours
from casgan_dicom.node.doctor.finding import Finding, fail, ok, warn
from casgan_dicom.node.settings import NodeSettings
from casgan_dicom.node.state.layout import Layout

_WATCH_SECONDS = 0.5
_MOST_DRIFT = 0.1
"""Seconds by which two clocks of one machine may differ over that time, beside other work."""
_EARLIEST = datetime(2025, 1, 1, tzinfo=UTC).timestamp()
"""Before this program was made no clock is right."""
_ASK_SECONDS = 5.0
OFFSET_SECONDS = 5.0
"""By which the clock of another machine may differ without anybody minding."""


def look_at_clock(settings: NodeSettings) -> Iterator[Finding]:
    """Everything about the time of this machine."""
    yield of_running(time, monotonic, sleep)
    yield from of_date(time(), _last_written(settings))
    yield of_keeper(_answers())
    yield from of_zones(settings, time())


def of_running(
    wall: Callable[[], float], steady: Callable[[], float], wait: Callable[[float], None]
) -> Finding:
    """Whether the clock on the wall goes as fast as the one that nobody sets."""
    before = wall() - steady()
    wait(_WATCH_SECONDS)
    drift = wall() - steady() - before
    if abs(drift) > _MOST_DRIFT:
        told = f"jumped by {drift:+.2f} s within {_WATCH_SECONDS:g} s"
        return warn(
            "clock", told, "let a service of time (chrony, systemd-timesyncd) keep it, and look again"
        )
    return ok("clock", "goes evenly")


def of_date(now: float, last_written: float) -> Iterator[Finding]:
    """Whether the date can be right; `last_written` is when the node last wrote, 0 for never."""
    shown = f"{datetime.fromtimestamp(now, UTC):%Y-%m-%d %H:%M:%S} UTC"
    if now < _EARLIEST:
        yield fail("clock", f"shows {shown}", "set it: certificates, and dates in objects, depend on it")
    elif last_written > now + OFFSET_SECONDS:
        told = f"shows {shown}, the ledger was written {last_written - now:.0f} s later"
        yield warn("clock", told, "find out who has set it back: what waits for a time waits longer")
    else:
        yield ok("clock", f"shows {shown}")


def of_keeper(answers: Mapping[str, str]) -> Finding:
    """Whether somebody keeps the clock, by what the programs say that know; `answers` by their names."""
    advice = "let chrony or systemd-timesyncd keep it: timedatectl set-ntp true"
    if (told := answers.get("timedatectl", "").strip()) in ("yes", "no"):
        return ok("clock", "is kept (NTP)") if told == "yes" else warn("clock", "is not kept (NTP)", advice)
    if tracked := answers.get("chronyc", ""):
        bad = "Not synchronised" in tracked
        return warn("clock", "is not kept (chrony)", advice) if bad else ok("clock", "is kept (chrony)")
    return ok("clock", "nobody here tells whether it is kept: neither timedatectl nor chronyc answers")


def of_offset(about: str, seconds: float) -> Iterator[Finding]:
    """What the clock of another machine says of ours."""
    if abs(seconds) > OFFSET_SECONDS:
        told = f"its clock is {abs(seconds):.0f} s {'ahead of' if seconds > 0 else 'behind'} ours"
        yield warn(about, told, "one of the two is wrong: timedatectl shows ours")


def of_zones(settings: NodeSettings, now: float) -> Iterator[Finding]:
    """What hours of destinations mean at this moment."""
    for number, each in enumerate(settings.destinations, 1):
        if not each.hours:
            continue
        at = f"destinations#{number}.hours"
        try:
            opens = hours.next_opening(each.hours, each.zone, now)
            zone = ZoneInfo(each.zone) if each.zone else None
        except ZoneInfoNotFoundError:
            yield fail(at, f"time zone '{each.zone}' is unknown here", "install tzdata")
            continue
        clock = datetime.fromtimestamp(now, zone).astimezone(zone)
        state = "open" if opens <= now else f"closed until {datetime.fromtimestamp(opens, zone):%a %H:%M}"
        yield ok(at, f"{state}; it is {clock:%a %H:%M %Z} there")


def _answers() -> dict[str, str]:
    commands: Sequence[tuple[str, ...]] = (
        ("timedatectl", "show", "--property=NTPSynchronized", "--value"),
        ("chronyc", "-n", "tracking"),
    )
    answers = {}
    for command in commands:
        if program := shutil.which(command[0]):
            with suppress(OSError, subprocess.TimeoutExpired):
                done = subprocess.run(
                    [program, *command[1:]], capture_output=True, text=True, timeout=_ASK_SECONDS, check=False
                )
                answers[command[0]] = done.stdout if done.returncode == 0 else ""
    return answers


def _last_written(settings: NodeSettings) -> float:
    with suppress(OSError):
        return Layout(settings.data).ledger.stat().st_mtime
    return 0.0
