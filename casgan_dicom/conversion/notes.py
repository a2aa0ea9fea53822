"""What is unusual about a cine that may be converted: how it was read, and what of it is left behind."""

from __future__ import annotations

from casgan_dicom.derived.geometry import notes_on_geometry
from casgan_dicom.derived.legal_header import legal_header
from casgan_dicom.source.cine import Cine
from casgan_dicom.source.eligible import warnings


def notes_about(cine: Cine) -> tuple[str, ...]:
    """One sentence each, without patient data; ``inspect`` and the report of a conversion say the same."""
    changes = legal_header(cine.header).changes
    return (*warnings(cine), *notes_on_geometry(cine.header), *map(str, changes))
