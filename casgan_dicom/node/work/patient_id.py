"""The Patient ID of a file, for the audit trail of who asks for it. No pixel is read."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from pathlib import Path

from pydicom import dcmread


def patient_id(paths: Iterable[Path]) -> str:
    """Patient ID (0010,0020) of the first file that tells one; empty where none does."""
    for path in paths:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # pydicom quotes malformed values
                ds = dcmread(path, stop_before_pixels=True, specific_tags=["PatientID"])
                found = str(ds.get("PatientID") or "").strip()
        except Exception:  # a parser fed with garbage raises anything: that file tells none
            continue
        if found:
            return found
    return ""
