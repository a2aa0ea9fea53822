"""Finding, grouping and ordering of runs."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    UID,
    BasicTextSRStorage,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    MediaStorageDirectoryStorage,
    RLELossless,
)

from casgan_dicom.errors import SeriesError
from casgan_dicom.series import DICOMDIR, DUPLICATE, NOT_DICOM, find_series
from tests.factories import moving_frames, uid, write_header, write_xa, write_xa_single_frames


def test_a_multi_frame_instance_is_one_cine_whatever_its_name_and_depth(tmp_path: Path) -> None:
    path = write_xa(tmp_path / "a" / "b" / "no ending", moving_frames(5, 64, 80))

    (series,) = find_series([tmp_path]).series

    (cine,) = series.cines
    assert series.uid == cine.series_uid == uid("series")
    assert (cine.frames, cine.rows, cine.columns) == (5, 64, 80)
    assert [instance.path for instance in cine.instances] == [path]
    assert "PixelData" not in cine.header


def test_two_multi_frame_instances_of_a_series_are_two_cines_in_the_order_of_instance_number(
    tmp_path: Path,
) -> None:
    write_xa(tmp_path / "1", moving_frames(3), SOPInstanceUID=uid("second"), InstanceNumber=2)
    write_xa(tmp_path / "2", moving_frames(2), SOPInstanceUID=uid("first"), InstanceNumber=1)

    (series,) = find_series([tmp_path]).series

    assert [cine.frames for cine in series.cines] == [2, 3]


def test_planes_that_share_an_instance_number_stay_two_cines(tmp_path: Path) -> None:
    for plane in "AB":
        write_xa(
            tmp_path / plane, SOPInstanceUID=uid(plane), ImageType=["ORIGINAL", "PRIMARY", f"BIPLANE {plane}"]
        )

    cines = find_series([tmp_path]).cines

    assert {cine.instances[0].sop_instance_uid for cine in cines} == {uid("A"), uid("B")}


def test_single_frames_with_increasing_times_are_one_cine_in_the_order_of_time(tmp_path: Path) -> None:
    paths = write_xa_single_frames(tmp_path, moving_frames(12), step_s=0.1)

    (cine,) = find_series([tmp_path]).cines

    assert [instance.path for instance in cine.instances] == paths
    assert cine.frames == 12
    assert cine.timing.frame_time_ms == 100.0
    assert cine.timing.vector_ms is None
    assert cine.notes == ()


def test_time_goes_before_instance_number(tmp_path: Path) -> None:
    first, second = moving_frames(2)
    write_xa(
        tmp_path / "a", first[None], SOPInstanceUID="2.25.1", InstanceNumber=2, AcquisitionTime="100000.1"
    )
    write_xa(
        tmp_path / "b", second[None], SOPInstanceUID="2.25.2", InstanceNumber=1, AcquisitionTime="100000.2"
    )

    (cine,) = find_series([tmp_path]).cines

    assert [instance.sop_instance_uid for instance in cine.instances] == ["2.25.1", "2.25.2"]


def test_content_time_orders_frames_that_share_the_acquisition_time_of_their_run(tmp_path: Path) -> None:
    for k, frame in enumerate(moving_frames(3)):
        write_xa(tmp_path / str(k), frame[None], SOPInstanceUID=f"2.25.{9 - k}", ContentTime=f"10000{k}")

    (cine,) = find_series([tmp_path]).cines

    assert [instance.sop_instance_uid for instance in cine.instances] == ["2.25.9", "2.25.8", "2.25.7"]
    assert cine.timing.source == "ContentTime (0008,0033)"


@pytest.mark.parametrize(
    ("odd", "why"),
    [
        ({"Columns": 40, "Rows": 128}, "geometry"),
        ({"BitsStored": 7, "HighBit": 6}, "geometry"),
        ({"AcquisitionTime": None}, "times"),
    ],
)
def test_single_frames_that_do_not_match_are_one_output_each(
    tmp_path: Path, odd: dict[str, object], why: str
) -> None:
    write_xa_single_frames(tmp_path, moving_frames(3))
    extra: dict[str, object] = {
        "SOPInstanceUID": uid("odd"),
        "NumberOfFrames": None,
        "AcquisitionTime": "100001",
    }
    write_xa(tmp_path / "odd", moving_frames(1), **(extra | odd))

    cines = find_series([tmp_path]).cines

    assert [cine.frames for cine in cines] == [1, 1, 1, 1]
    assert all(why in cine.notes[0] for cine in cines)


def test_copies_of_a_picture_in_other_syntaxes_are_no_run(tmp_path: Path) -> None:
    for k, syntax in enumerate([RLELossless, JPEG2000Lossless]):
        write_xa(
            tmp_path / str(k),
            moving_frames(1),
            syntax=syntax,
            SOPInstanceUID=uid(str(k)),
            ContentTime=f"10000{k}",
        )

    cines = find_series([tmp_path]).cines

    assert [cine.frames for cine in cines] == [1, 1]
    assert "transfer syntaxes" in cines[0].notes[0]


def test_uncompressed_syntaxes_are_of_one_kind(tmp_path: Path) -> None:
    for k, syntax in enumerate([ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian]):
        write_xa(
            tmp_path / str(k),
            moving_frames(1),
            syntax=syntax,
            SOPInstanceUID=uid(str(k)),
            ContentTime=f"10000{k}",
        )

    assert [cine.frames for cine in find_series([tmp_path]).cines] == [2]


def test_a_second_copy_of_an_instance_counts_once(tmp_path: Path) -> None:
    path = write_xa(tmp_path / "a")
    shutil.copy(path, tmp_path / "b")

    found = find_series([tmp_path])

    assert len(found.cines) == 1
    assert found.skipped_counts == {DUPLICATE: 1}


def test_a_file_named_twice_is_read_once(tmp_path: Path) -> None:
    path = write_xa(tmp_path / "a")

    found = find_series([tmp_path, path])

    assert len(found.cines) == 1
    assert found.skipped == ()


def test_what_is_no_image_is_counted_with_its_reason(tmp_path: Path) -> None:
    write_xa(tmp_path / "xa" / "run.dcm")
    (tmp_path / "notes.txt").write_text("not a picture")
    (tmp_path / "empty").touch()
    (tmp_path / "garbage.dcm").write_bytes(b"\0" * 128 + b"DICM" + bytes(range(256)) * 4)
    write_header(tmp_path / "no uid", SeriesInstanceUID=None)

    found = find_series([tmp_path])

    assert len(found.cines) == 1
    assert found.skipped_counts[NOT_DICOM] == 2
    assert sum(found.skipped_counts.values()) == 4
    assert "SeriesInstanceUID (0020,000E) is absent" in found.skipped_counts


def test_a_dicomdir_is_passed_over(tmp_path: Path) -> None:
    write_xa(tmp_path / "IMAGES" / "IM1")
    directory = Dataset()
    directory.file_meta = FileMetaDataset()
    directory.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    directory.file_meta.MediaStorageSOPClassUID = MediaStorageDirectoryStorage
    directory.file_meta.MediaStorageSOPInstanceUID = UID(uid("directory"))
    directory.FileSetID = "DISC"
    directory.save_as(tmp_path / "DICOMDIR", enforce_file_format=True)

    found = find_series([tmp_path])

    assert [cine.frames for cine in found.cines] == [4]
    assert found.skipped_counts == {DICOMDIR: 1}


def test_a_folder_without_dicom_is_an_error_that_counts_what_it_holds(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a")
    (tmp_path / "b.txt").write_text("b")

    with pytest.raises(SeriesError, match=r"no DICOM files \(2 × no DICOM file\)") as caught:
        find_series([tmp_path])

    assert caught.value.hint


def test_an_empty_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SeriesError, match=r"no DICOM files$"):
        find_series([tmp_path])


def test_a_path_that_does_not_exist_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SeriesError, match="no such file"):
        find_series([tmp_path / "nowhere"])


@pytest.mark.parametrize("syntax", [ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian, RLELossless])
def test_whether_there_are_pixels_is_known_without_reading_them(tmp_path: Path, syntax: str) -> None:
    write_xa(tmp_path / "with", syntax=syntax)
    ds = dcmread(tmp_path / "with")
    del ds.PixelData
    ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = UID(uid("without"))
    ds.save_as(tmp_path / "without")

    cines = find_series([tmp_path]).cines

    has = {cine.instances[0].sop_instance_uid: cine.instances[0].has_pixels for cine in cines}
    assert has == {uid("instance"): True, uid("without"): False}


def test_one_unreadable_element_is_noted_and_does_not_hide_the_run(tmp_path: Path) -> None:
    path = write_xa(tmp_path / "a", SmallestImagePixelValue=7)
    legal = b"\x28\x00\x06\x01US\x02\x00\x07\x00"
    path.write_bytes(path.read_bytes().replace(legal, b"\x28\x00\x06\x01US\x03\x00abc"))

    (cine,) = find_series([tmp_path]).cines

    assert "SmallestImagePixelValue" not in cine.header
    assert cine.notes == ("SmallestImagePixelValue (0028,0106) ignored: BytesLengthException",)


def test_what_the_parser_warns_of_becomes_one_note_and_no_warning(tmp_path: Path) -> None:
    path = write_xa(tmp_path / "a", SpecificCharacterSet="ISO_IR 100")
    path.write_bytes(path.read_bytes().replace(b"ISO_IR 100", b"ISO_XX 100"))

    (cine,) = find_series([tmp_path]).cines

    assert len(cine.notes) == 1


@pytest.mark.parametrize(("frames", "read"), [(b"-4", 0), (b"4x", 0), (b"  ", 1)])
def test_a_number_of_frames_that_is_none_never_raises(tmp_path: Path, frames: bytes, read: int) -> None:
    path = write_xa(tmp_path / "a", moving_frames(14))
    number = b"\x28\x00\x08\x00IS\x02\x00"
    path.write_bytes(path.read_bytes().replace(number + b"14", number + frames))

    (cine,) = find_series([tmp_path]).cines

    assert cine.frames == read


def test_an_instance_that_is_no_picture_is_a_cine_of_no_size(tmp_path: Path) -> None:
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.SOPClassUID, ds.SOPInstanceUID = BasicTextSRStorage, UID(uid("report"))
    ds.SeriesInstanceUID = uid("reports")
    ds.save_as(tmp_path / "sr", enforce_file_format=True)

    (cine,) = find_series([tmp_path]).cines

    assert (cine.rows, cine.columns, cine.instances[0].has_pixels) == (0, 0, False)


def test_the_real_files_are_found_and_grouped(real_xa: Path) -> None:
    found = find_series([real_xa])

    assert sorted(cine.frames for cine in found.cines) == [1, 1, 1, 1, 96]
    (run,) = (cine for cine in found.cines if cine.frames == 96)
    assert run.timing.frame_time_ms == 33.0
    assert run.timing.source == "FrameTime (0018,1063)"
