"""Why a derived series is rejected: a closed list, so that rejections can be counted.

Each reason has a name that a person types, and a code that an object says. The code is one of the standard
where it has one (PS3.16 CID 7011, Rejected for Quality Reasons); the others are of our scheme.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from casgan_dicom.derived.review_terms import SCHEME, Term

OTHER = "other"
"""The reason that says nothing: a text has to."""


REASONS: Mapping[str, Term] = MappingProxyType(
    {
        "vessel-course": Term("VESSELCOURSE", SCHEME, "Vessels run where they cannot run"),
        "impossible-vessels": Term("NOVESSELHERE", SCHEME, "Vessels where none can be"),
        "missing-vessels": Term("MISSINGVESSELS", SCHEME, "Vessels are missing"),
        "unreadable-marks": Term("UNREADABLEMARKS", SCHEME, "Banner or marks cannot be read"),
        "wrong-series": Term("WRONGSERIES", SCHEME, "Another series should have been converted"),
        "motion": Term("111210", "DCM", "Motion blur"),
        OTHER: Term("111220", "DCM", "Other failure"),
    }
)
"""Every reason by its name."""
