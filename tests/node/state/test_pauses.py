"""What a person has paused stays so until it is resumed, also over a restart."""

from __future__ import annotations

from pathlib import Path

from casgan_dicom.node.state.health import Level, findings, worst
from casgan_dicom.node.state.layout import Layout
from casgan_dicom.node.state.ledger import Ledger
from casgan_dicom.node.state.overview import status
from casgan_dicom.node.state.pauses import Pause, Pauses

CPU, PACS = Pause("convert", "cpu"), Pause("send", "pacs")


def test_a_pause_holds_until_it_is_ended(ledger: Ledger) -> None:
    pauses = Pauses(ledger)
    pauses.begin([CPU, PACS], 1.0)
    pauses.begin([CPU], 2.0)  # again: nothing new
    ledger.close()
    again = Ledger(ledger.place)
    pauses = Pauses(again)

    assert pauses.all() == [CPU, PACS]
    assert pauses.holds(CPU)
    assert not pauses.holds(Pause("send", "cpu"))
    assert pauses.end([CPU, Pause("send", "other")]) == [CPU]
    assert not pauses.holds(CPU)
    assert pauses.holds(PACS)
    again.close()


def test_the_status_of_a_node_says_what_is_paused_and_a_check_warns(ledger: Ledger, tmp_path: Path) -> None:
    Pauses(ledger).begin([CPU, PACS], 1.0)

    found = status(Layout(tmp_path), ledger)

    assert found.paused == ("conversions on cpu", "deliveries to pacs")
    warnings = [each.text for each in findings(found, 0) if each.level is Level.WARNING]
    assert warnings == ["conversions on cpu are paused", "deliveries to pacs are paused"]
    assert worst(findings(found, 0)) is Level.CRITICAL  # the node is stopped
