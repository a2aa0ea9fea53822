"""The clock: judged by what it shows, with every clock passed in."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from casgan_dicom.node.doctor.clock import look_at_clock, of_date, of_keeper, of_offset, of_running, of_zones
from casgan_dicom.node.doctor.finding import Verdict
from casgan_dicom.node.settings import DestinationSettings, NodeSettings
from tests.node.doctor.looking import bad, one

MONDAY_NOON = datetime(2026, 6, 1, 10, 0, tzinfo=UTC).timestamp()  # 12:00 in Berlin


class Clocks:
    """Two clocks, one of which may jump while somebody waits."""

    def __init__(self, jump: float) -> None:
        self.steady, self.wall, self._jump = 0.0, 1e9, jump

    def wait(self, seconds: float) -> None:
        """Let time go by."""
        self.steady += seconds
        self.wall += seconds + self._jump


@pytest.mark.parametrize(
    ("jump", "verdict"), [(0, Verdict.OK), (3600, Verdict.WARN), (-2, Verdict.WARN), (0.01, Verdict.OK)]
)
def test_a_clock_that_jumps_is_a_warning(jump: float, verdict: Verdict) -> None:
    clocks = Clocks(jump)

    assert of_running(lambda: clocks.wall, lambda: clocks.steady, clocks.wait).verdict is verdict


def test_a_date_before_this_program_is_a_failure_and_one_before_the_ledger_a_warning() -> None:
    assert one(of_date(0.0, 0.0)).verdict is Verdict.FAIL
    assert one(of_date(MONDAY_NOON, MONDAY_NOON + 3600)).verdict is Verdict.WARN
    assert one(of_date(MONDAY_NOON, MONDAY_NOON - 3600)).verdict is Verdict.OK


@pytest.mark.parametrize(
    ("answers", "verdict"),
    [
        ({"timedatectl": "yes\n"}, Verdict.OK),
        ({"timedatectl": "no\n"}, Verdict.WARN),
        ({"timedatectl": "", "chronyc": "Leap status     : Normal"}, Verdict.OK),
        ({"chronyc": "Leap status     : Not synchronised"}, Verdict.WARN),
        ({}, Verdict.OK),
    ],
)
def test_who_keeps_the_clock_is_told_where_somebody_knows(answers: dict[str, str], verdict: Verdict) -> None:
    assert of_keeper(answers).verdict is verdict


def test_another_clock_may_differ_by_some_seconds() -> None:
    assert bad(of_offset("destinations#1", 2.0)) == {}
    assert bad(of_offset("destinations#1", -90.0)) == {"destinations#1": Verdict.WARN}


def test_hours_are_told_in_the_zone_of_the_destination() -> None:
    def with_hours(*hours: str) -> NodeSettings:
        place = DestinationSettings("pacs", hours=hours, zone="Europe/Berlin")
        return NodeSettings(destinations=(DestinationSettings("other"), place))

    closed = one(of_zones(with_hours("Mon-Fri 18:00-07:00"), MONDAY_NOON))
    opened = one(of_zones(with_hours("Mon 11:00-13:00"), MONDAY_NOON))

    assert closed.about == opened.about == "destinations#2.hours"
    assert "closed until Mon 18:00" in closed.text
    assert opened.text.startswith("open; it is Mon 12:00 CEST")


def test_a_zone_that_is_unknown_here_is_a_failure() -> None:
    place = DestinationSettings("pacs", hours=("Sat-Sun",), zone="Atlantis/Capital")

    found = one(of_zones(NodeSettings(destinations=(place,)), MONDAY_NOON))

    assert (found.verdict, found.about) == (Verdict.FAIL, "destinations#1.hours")


def test_the_clock_of_this_machine_is_looked_at(tmp_path: Path) -> None:
    assert {each.about for each in look_at_clock(NodeSettings(data=tmp_path))} == {"clock"}
