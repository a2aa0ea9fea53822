"""Why a derived series is rejected: a closed list, so that rejections can be counted.

Each reason has a name that a person types, and a code that an object says. The code is one of the standard
where it has one (PS3.16 CID 7011, Rejected for Quality Reasons); the others are of our scheme, ``99CASGAN``
(``quality_record.py``). ``review_record.py`` writes them into objects; nothing here needs DICOM.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

OTHER = "other"
"""The reason that says nothing: a text has to."""


@dataclass(frozen=True)
class Reason:
    """Why a derived series is rejected."""

    value: str
    """Code Value (0008,0100)."""
    scheme: str
    """Coding Scheme Designator (0008,0102)."""
    meaning: str
    """Code Meaning (0008,0104); for people, too."""


REASONS: Mapping[str, Reason] = MappingProxyType(
    {
        "vessel-course": Reason("VESSELCOURSE", "99CASGAN", "Vessels run where they cannot run"),
        "impossible-vessels": Reason("NOVESSELHERE", "99CASGAN", "Vessels where none can be"),
        "missing-vessels": Reason("MISSINGVESSELS", "99CASGAN", "Vessels are missing"),
        "unreadable-marks": Reason("UNREADABLEMARKS", "99CASGAN", "Banner or marks cannot be read"),
        "wrong-series": Reason("WRONGSERIES", "99CASGAN", "Another series should have been converted"),
        "motion": Reason("111210", "DCM", "Motion blur"),
        OTHER: Reason("111220", "DCM", "Other failure"),
    }
)
"""Every reason by its name."""
