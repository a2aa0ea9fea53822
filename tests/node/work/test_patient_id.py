"""Of whom a file is, by its header alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from casgan_dicom.node.work.patient_id import patient_id
from tests.support.factories import write_xa


def test_the_first_file_that_tells_a_patient_counts(tmp_path: Path) -> None:
    none = write_xa(tmp_path / "none.dcm", PatientID="")
    one = write_xa(tmp_path / "one.dcm", PatientID="P-17 ")

    assert patient_id([none, one]) == "P-17"
    assert patient_id([none]) == patient_id([]) == ""


@pytest.mark.parametrize("content", [b"", b"no DICOM", None])
def test_a_file_that_cannot_be_read_tells_none_and_holds_up_nothing(
    tmp_path: Path, content: bytes | None
) -> None:
    broken = tmp_path / "broken.dcm"
    if content is not None:
        broken.write_bytes(content)

    assert patient_id([broken, write_xa(tmp_path / "one.dcm", PatientID="P-17")]) == "P-17"


def test_no_pixel_is_needed(tmp_path: Path) -> None:
    path = write_xa(tmp_path / "one.dcm", PatientID="P-17")
    path.write_bytes(path.read_bytes()[:-2000])

    assert patient_id([path]) == "P-17"
