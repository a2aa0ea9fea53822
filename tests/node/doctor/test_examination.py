"""Checks run side by side; none holds up the others, none can hide what another says."""

from __future__ import annotations

import threading
from collections.abc import Iterator

from casgan_dicom.errors import ConfigError
from casgan_dicom.node.doctor.examination import Check, examine
from casgan_dicom.node.doctor.finding import Finding, Verdict, ok, warn, worst


def test_findings_come_in_the_order_of_the_checks_whichever_ends_first() -> None:
    second_is_done = threading.Event()

    def first() -> Iterator[Finding]:
        assert second_is_done.wait(30)
        yield ok("first", "")

    def second() -> Iterator[Finding]:
        yield warn("second", "", "")
        second_is_done.set()

    found = list(examine([Check("first", first, 60), Check("second", second, 60)]))

    assert [each.about for each in found] == ["first", "second"]


def test_a_check_without_end_is_a_failure_and_the_others_are_told() -> None:
    never = threading.Event()
    stuck = Check("share", lambda: [ok("share", str(never.wait()))], 0.05)

    found = list(examine([stuck, Check("clock", lambda: [ok("clock", "")])]))

    never.set()
    assert [(each.about, each.verdict) for each in found] == [("share", Verdict.FAIL), ("clock", Verdict.OK)]


def test_what_a_check_raises_is_a_failure_that_quotes_nothing_of_unknown_origin() -> None:
    def broken() -> Iterator[Finding]:
        raise ValueError("PatientName = Doe^Jane")

    def refused() -> Iterator[Finding]:
        raise ConfigError("tls_key is no key", hint="name another")

    found = list(examine([Check("a", broken), Check("b", refused)]))

    assert [each.verdict for each in found] == [Verdict.FAIL, Verdict.FAIL]
    assert "Doe" not in str(found[0])
    assert (found[1].text, found[1].advice) == ("tls_key is no key", "name another")


def test_the_worst_finding_counts() -> None:
    assert worst([]) is Verdict.OK
    assert worst([ok("a", ""), warn("b", "", ""), ok("c", "")]) is Verdict.WARN
