"""Whose the codes are that no standard has."""

from __future__ import annotations

from pydicom.dataset import Dataset

from casgan_dicom.derived.marks import MANUFACTURER
from casgan_dicom.derived.review_terms import SCHEME


def scheme_identification() -> list[Dataset]:
    """Coding Scheme Identification Sequence (0008,0110): whose the private codes are."""
    scheme = Dataset()
    scheme.CodingSchemeDesignator = SCHEME
    scheme.CodingSchemeName = "Codes of casgan-dicom"
    scheme.CodingSchemeResponsibleOrganization = MANUFACTURER
    return [scheme]
