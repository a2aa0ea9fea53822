"""What the tests of doctor share: findings by what they are about."""

from __future__ import annotations

from collections.abc import Iterable

from casgan_dicom.node.doctor.finding import Finding, Verdict


def bad(findings: Iterable[Finding]) -> dict[str, Verdict]:
    """What is no OK, by what it is about."""
    return {each.about: each.verdict for each in findings if each.verdict}


def one(findings: Iterable[Finding]) -> Finding:
    """The only finding."""
    (found,) = findings
    return found
