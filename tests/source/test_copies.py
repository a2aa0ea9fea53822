"""One SOP Instance UID in several files: copies, or different instances."""

from __future__ import annotations

import shutil
from itertools import permutations
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGBaseline8Bit,
    RLELossless,
)

from casgan_dicom.conversion.inspection import inspect
from casgan_dicom.conversion.options import ConvertOptions
from casgan_dicom.conversion.plan import plan_conversion
from casgan_dicom.source.eligible import reasons_against_series
from casgan_dicom.source.series import DUPLICATE, find_series
from tests.support.factories import moving_frames, uid, write_xa
from tests.support.renamed import renamed

NATIVE = [
    ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian
]  # fmt: skip


@pytest.mark.parametrize("bits", [8, 12])
@pytest.mark.parametrize("syntax", NATIVE)
def test_a_copy_that_was_written_anew_is_passed_over(tmp_path: Path, syntax: str, bits: int) -> None:
    run = moving_frames(3, bits=bits)
    write_xa(tmp_path / "a", run, BitsStored=bits)
    again = write_xa(tmp_path / "b", run, syntax=syntax, BitsStored=bits)
    ds = dcmread(again)
    ds.file_meta.ImplementationVersionName = "OTHER"
    ds.add_new(0xFFFCFFFC, "OB", bytes(10))
    ds.save_as(again)

    found = find_series([tmp_path])

    assert len(found.cines) == 1
    assert found.skipped_counts == {DUPLICATE: 1}
    assert found.series[0].faults == ()


@pytest.mark.parametrize(("written", "named"), [*permutations(NATIVE, 2)], ids=lambda uid: uid.keyword)
def test_a_copy_under_the_name_of_another_encoding_is_passed_over(
    tmp_path: Path, written: UID, named: UID
) -> None:
    run = moving_frames(3, bits=12)
    path = renamed(tmp_path / "a", run, written, named)
    content = path.read_bytes()
    (tmp_path / "b").write_bytes(b"\1" + content[1:])  # another preamble, so the files differ

    found = find_series([tmp_path])

    assert found.skipped_counts == {DUPLICATE: 1}
    assert (found.damaged, found.series[0].faults) == ((), ())


@pytest.mark.parametrize("syntax", [RLELossless, JPEGBaseline8Bit])
def test_a_copy_of_a_compressed_instance_is_passed_over(tmp_path: Path, syntax: str) -> None:
    shutil.copy(write_xa(tmp_path / "a", syntax=syntax), tmp_path / "b")
    ds = dcmread(write_xa(tmp_path / "c", syntax=syntax))
    ds.file_meta.ImplementationVersionName = "OTHER"
    ds.save_as(tmp_path / "c")

    assert find_series([tmp_path]).skipped_counts == {DUPLICATE: 2}


OTHERS: dict[str, dict[str, object]] = {
    "PixelData (7FE0,0010)": {"frames": moving_frames(4)[::-1]},
    "InstanceNumber (0020,0013)": {"InstanceNumber": 2},
    "PatientID (0010,0020)": {"PatientID": "TEST-2"},
    "WindowCenter (0028,1050)": {"WindowCenter": 99, "WindowWidth": 50},
    "NumberOfFrames (0028,0008)": {"frames": moving_frames(3)},
    "SeriesInstanceUID (0020,000E)": {"SeriesInstanceUID": uid("other series")},
}


@pytest.mark.parametrize(("named", "other"), OTHERS.items(), ids=OTHERS.keys())
@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, RLELossless])
def test_different_instances_under_one_uid_are_an_error_of_their_series(
    tmp_path: Path, named: str, other: dict[str, object], syntax: str
) -> None:
    write_xa(tmp_path / "in" / "a", syntax=syntax)
    shutil.copy(tmp_path / "in" / "a", tmp_path / "in" / "copy")
    write_xa(tmp_path / "in" / "b", syntax=syntax, **other)  # type: ignore[arg-type]  # frames among them
    write_xa(tmp_path / "in" / "c", SOPInstanceUID=uid("good"), SeriesInstanceUID=uid("good"), syntax=syntax)

    plan = plan_conversion([tmp_path / "in"], ConvertOptions(force=True), tmp_path / "out")

    assert [cine.series_uid for cine in plan.cines] == [uid("good")]
    assert {uid("series")} <= {cine.source_series_uid for cine in plan.skipped}
    for cine in plan.skipped:
        assert not cine.forceable
        assert f"SOPInstanceUID (0008,0018) {uid('instance')} is that of 2 different" in cine.reasons[0]
        assert named in cine.reasons[0]
        assert "TEST-2" not in cine.reasons[0]
    assert inspect([tmp_path / "in"]).exit_code == 4


def test_pictures_under_one_uid_are_counted(tmp_path: Path) -> None:
    for k, frame in enumerate(moving_frames(4)):
        write_xa(tmp_path / str(k), frame[None], NumberOfFrames=None, InstanceNumber=k + 1)

    (series,) = find_series([tmp_path]).series

    (reason,) = reasons_against_series(series)
    assert "is that of 4 different instances" in reason.text
    assert "InstanceNumber (0020,0013), PixelData (7FE0,0010)" in reason.text


def test_two_compressions_of_one_instance_never_pass_for_the_same(tmp_path: Path) -> None:
    write_xa(tmp_path / "a", syntax=RLELossless)
    write_xa(tmp_path / "b")

    (series,) = find_series([tmp_path]).series

    (fault,) = series.faults
    assert fault.endswith("they differ in TransferSyntaxUID (0002,0010)")
