"""Independent judges of our objects: the programs of dicom3tools."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.support.programs import find_program

DEVICE_UID = "DeviceUID(0018,1002)> - Attribute is not present in standard DICOM IOD"
"""Device UID is type 3 there, but this dciodvfy does not know it."""
PRIVATE_SCHEME = "CodingSchemeDesignator(0008,0102)[1]> - Unrecognized defined term = <99CASGAN>"
"""No standard code means what the quality record says; dciodvfy warns of every private coding scheme. URN
codes would silence it, but then highdicom does not read the report."""
FRAME_DERIVATION = "PerFrameFunctionalGroupsSequence(5200,9230)[1]/DerivationImageSequence(0008,9124)"
"""A multi-frame Secondary Capture may have functional groups; that of the derivation extends it."""
ACCESSION = "Element=<AccessionNumber> IE <Series> versus <Study>"
"""dcentvfy counts Accession Number of an XA image to the series, that of a report to the study."""

OF_THE_SOURCE = (
    "Laterality(0020,0060)> - is only permitted to be empty when actually unknown",
    "StudyID(0020,0010)> - Missing attribute or value that would be needed to build DICOMDIR",
    "Retired Person Name form",
)
"""Warnings about what the source leaves open or writes in an old form: patient and study are not ours to
change, and a side that it does not name is unknown indeed."""


def of_our_making(complaints: list[str]) -> list[str]:
    """Complaints that the source does not account for."""
    return [line for line in complaints if not any(known in line for known in OF_THE_SOURCE)]


def dciodvfy(path: Path) -> list[str]:
    """Errors and warnings about one object, what is allow-listed left out."""
    lines = _complaints(_run("dciodvfy", "-new", path))
    known = (DEVICE_UID, PRIVATE_SCHEME)
    return [line for line in lines if not any(text in line for text in known) and not _is_extension(line)]


def _is_extension(line: str) -> bool:
    """Whether no worse is said than that the standard does not list the extension."""
    return FRAME_DERIVATION in line and line.endswith("Attribute is not present in standard DICOM IOD")


def dcentvfy(*paths: Path) -> list[str]:
    """Errors and warnings about objects that should agree on patient, study, series."""
    return [line for line in _complaints(_run("dcentvfy", *paths)) if ACCESSION not in line]


def _complaints(result: subprocess.CompletedProcess[str]) -> list[str]:
    lines = (result.stderr + result.stdout).splitlines()
    return [line for line in lines if line.startswith(("Error", "Warning"))]


def _run(program: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [find_program(program, "dicom3tools"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, errors="replace")
