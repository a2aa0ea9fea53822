"""The terms that a verdict about a derived series is said in, as codes.

The standard has none for a verdict on what an algorithm made, so these are of our scheme. Nothing here needs
DICOM: ``review_content.py`` writes them into objects, ``verification/review_rules.py`` looks for them.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Term:
    """A code."""

    value: str
    """Code Value (0008,0100)."""
    scheme: str
    """Coding Scheme Designator (0008,0102)."""
    meaning: str
    """Code Meaning (0008,0104); for people, too."""

    @property
    def key(self) -> tuple[str, str]:
        """What tells it from others."""
        return self.value, self.scheme


SCHEME = "99CASGAN"
"""Coding Scheme Designator (0008,0102) of what no standard code means; ``own_scheme.py`` says whose it is."""
REVIEW = Term("AIREVIEW", SCHEME, "Review of a result of an algorithm")
"""Title of a report."""
VERDICT = Term("VERDICT", SCHEME, "Verdict on the result of an algorithm")
ACCEPTED = Term("ACCEPTED", SCHEME, "Accepted")
REJECTED = Term("REJECTED", SCHEME, "Rejected")
REJECTED_FOR = Term("REJECTEDFOR", SCHEME, "Reason of the rejection")
STATEMENT = "AI SYNTHETIC, not for diagnosis"
"""What every text about the objects begins with."""
