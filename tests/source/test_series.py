"""Finding series, and what is passed over."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
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
    ImplicitVRLittleEndian,
    MediaStorageDirectoryStorage,
    RLELossless,
)

from casgan_dicom.errors import SeriesError
from casgan_dicom.quoting import printable
from casgan_dicom.source.eligible import reasons_against
from casgan_dicom.source.header import DICOMDIR, NOT_DICOM, SkippedFile
from casgan_dicom.source.series import DUPLICATE, find_series
from tests.support.factories import moving_frames, uid, write_header, write_xa, write_xa_single_frames


def test_a_multi_frame_instance_is_one_cine_whatever_its_name_and_depth(tmp_path: Path) -> None:
    path = write_xa(tmp_path / "a" / "b" / "no ending", moving_frames(5, 64, 80))

    (series,) = find_series([tmp_path]).series

    (cine,) = series.cines
    assert series.uid == cine.series_uid == uid("series")
    assert (cine.frames, cine.rows, cine.columns) == (5, 64, 80)
    assert [instance.path for instance in cine.instances] == [path]
    assert "PixelData" not in cine.header


def test_a_second_copy_of_an_instance_counts_once(tmp_path: Path) -> None:
    path = write_xa(tmp_path / "a")
    shutil.copy(path, tmp_path / "b")

    found = find_series([tmp_path])

    assert len(found.cines) == 1
    assert found.skipped_counts == {DUPLICATE: 1}
    assert found.damaged == ()


def test_a_file_named_twice_is_read_once(tmp_path: Path) -> None:
    path = write_xa(tmp_path / "a")

    found = find_series([tmp_path, path])

    assert len(found.cines) == 1
    assert found.skipped == ()


def test_what_is_no_image_is_counted_with_its_reason(tmp_path: Path) -> None:
    write_xa(tmp_path / "xa" / "run.dcm")
    (tmp_path / "notes.txt").write_text("not a picture")
    (tmp_path / "empty").touch()

    found = find_series([tmp_path])

    assert len(found.cines) == 1
    assert found.skipped_counts == {NOT_DICOM: 2}
    assert found.damaged == ()


GARBAGE = b"\0" * 128 + b"DICM" + bytes(range(256)) * 4


def test_files_that_begin_as_dicom_but_are_none_are_damaged(tmp_path: Path) -> None:
    write_xa(tmp_path / "run")
    (tmp_path / "garbage of Test^Run").write_bytes(GARBAGE)
    write_header(tmp_path / "no series", SeriesInstanceUID=None)
    (tmp_path / "only a preamble").write_bytes(GARBAGE[:132])

    found = find_series([tmp_path])

    assert [cine.frames for cine in found.cines] == [4]
    assert [file.path.name for file in found.damaged] == [
        "garbage of Test^Run", "no series", "only a preamble",
    ]  # fmt: skip
    assert found.damaged == found.skipped
    assert all(file.reason.startswith("damaged or incomplete") for file in found.damaged)
    assert found.damaged[1].reason.endswith("SeriesInstanceUID (0020,000E) is absent")
    assert not any("Test" in file.reason for file in found.damaged)


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless])
def test_a_run_cut_anywhere_is_damaged_or_refused_but_never_passed_over(tmp_path: Path, syntax: str) -> None:
    write_xa(tmp_path / "whole", SOPInstanceUID=uid("whole"))
    content = write_xa(tmp_path / "cut", syntax=syntax).read_bytes()
    pixels = content.index(b"\xe0\x7f\x10\x00")

    for length in range(132, pixels, 17):
        (tmp_path / "cut").write_bytes(content[:length])
        found = find_series([tmp_path])
        refused = [cine for cine in found.cines if reasons_against(cine)]
        assert len(found.damaged) + len(refused) == 1, length
        assert found.skipped == found.damaged


def test_if_all_is_damaged_the_error_says_so_and_gives_a_fitting_hint(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(GARBAGE)
    (tmp_path / "notes.txt").write_text("not a picture")

    with pytest.raises(SeriesError, match=r"1 × damaged or incomplete DICOM file") as caught:
        find_series([tmp_path])

    assert "no DICOM files" not in caught.value.message
    assert "again" in caught.value.hint


@pytest.mark.parametrize("name", ["n" * 300, "file/below", "nul\0byte"])
def test_a_path_that_cannot_be_reached_is_an_error_that_names_it(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(SeriesError) as caught:
        find_series([tmp_path / name])

    assert printable(str(tmp_path / name)) in caught.value.message


def test_every_path_that_cannot_be_reached_is_named(tmp_path: Path) -> None:
    with pytest.raises(SeriesError, match=r"first: no such file or folder; .*second: no such"):
        find_series([tmp_path / "first", tmp_path, tmp_path / "second"])


def forbid(monkeypatch: pytest.MonkeyPatch, place: object, name: str, closed: Path) -> None:
    """Let an operation fail on one path as for a user without permission; root always has it."""
    real = getattr(place, name)

    def refusing(path: str | Path, *options: object, **more: object) -> object:
        if Path(path) == closed:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return real(path, *options, **more)

    monkeypatch.setattr(place, name, refusing)


def test_a_given_path_without_permission_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_xa(tmp_path / "closed" / "run")
    forbid(monkeypatch, Path, "stat", path)

    with pytest.raises(SeriesError, match=r"run: cannot be read \(Permission denied\)"):
        find_series([path])


def test_a_given_folder_that_cannot_be_searched_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_xa(tmp_path / "run")
    forbid(monkeypatch, os, "scandir", tmp_path)

    with pytest.raises(SeriesError, match=r"cannot be read \(Permission denied\)"):
        find_series([tmp_path])


@pytest.mark.parametrize(
    ("place", "name", "closed"),
    [(os, "scandir", "Test^Run"), (Path, "stat", "Test^Run/1"), (Path, "open", "Test^Run/1")],
)
def test_what_is_out_of_reach_in_a_folder_may_be_lost_to_the_run_and_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: object, name: str, closed: str
) -> None:
    write_xa(tmp_path / "a")
    write_xa(tmp_path / "Test^Run" / "1", SOPInstanceUID=uid("other"))
    forbid(monkeypatch, place, name, tmp_path / closed)

    found = find_series([tmp_path])

    assert len(found.cines) == 1
    assert found.damaged == (
        SkippedFile(tmp_path / closed, "cannot be read (Permission denied)", damaged=True),
    )


def test_links_in_a_circle_and_to_nowhere_are_no_files_and_said(tmp_path: Path) -> None:
    write_xa(tmp_path / "run")
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    (tmp_path / "nowhere").symlink_to(tmp_path / "gone")

    found = find_series([tmp_path])

    assert len(found.cines) == 1
    assert found.damaged == ()
    assert found.skipped_counts == {"a link that leads nowhere": 2}


def without_preamble(content: bytes) -> bytes:
    return content[128:]


def with_a_short_preamble(content: bytes) -> bytes:
    return content[1:]


def without_preamble_and_mark(content: bytes) -> bytes:
    return content[132:]


def data_set_alone(content: bytes) -> bytes:
    return content[144 + int.from_bytes(content[140:144], "little") :]


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian])
@pytest.mark.parametrize(
    "beginning", [without_preamble, with_a_short_preamble, without_preamble_and_mark, data_set_alone]
)
def test_a_file_whose_beginning_was_lost_is_damaged_and_no_stranger(
    tmp_path: Path, syntax: UID, beginning: Callable[[bytes], bytes]
) -> None:
    *_, last = write_xa_single_frames(tmp_path, moving_frames(4), syntax=syntax)
    last.write_bytes(beginning(last.read_bytes()))

    found = find_series([tmp_path])

    assert [cine.frames for cine in found.cines] == [3]
    (lost,) = found.damaged
    assert lost.path == last
    assert "no 128 bytes of preamble" in lost.reason


@pytest.mark.parametrize(
    "start",
    [b"", b"\x08\0", bytes(300), b"\x02\0\0\0UL\x04\0", b"\x89PNG\r\n\x1a\n" + bytes(99), b"<html>" * 50],
)
def test_what_begins_like_no_data_set_is_no_dicom(tmp_path: Path, start: bytes) -> None:
    write_xa(tmp_path / "run")
    (tmp_path / "other").write_bytes(start)

    assert find_series([tmp_path]).skipped_counts == {NOT_DICOM: 1}


def test_links_to_folders_are_followed_and_none_is_searched_twice(tmp_path: Path) -> None:
    write_xa(tmp_path / "elsewhere" / "run")
    top = tmp_path / "top"
    (top / "sub").mkdir(parents=True)
    (top / "a").symlink_to(tmp_path / "elsewhere")
    (top / "b").symlink_to(tmp_path / "elsewhere")
    (top / "sub" / "up").symlink_to(top)

    found = find_series([top])

    assert len(found.cines) == 1
    assert found.skipped == ()


@pytest.mark.parametrize(
    ("name", "start", "hint"),
    [
        ("study.zip", b"PK\x03\x04", "unpack the archive"),
        ("study", b"PK\x03\x04", "unpack the archive"),
        ("study.tar.gz", b"\x1f\x8b\x08", "unpack the archive"),
        ("study.tar", bytes(257) + b"ustar", "unpack the archive"),
        ("study.7z", b"7z\xbc\xaf\x27\x1c", "unpack the archive"),
        ("notes.txt", b"notes", "pass the folder that holds the DICOM files"),
    ],
)
@pytest.mark.parametrize("alone", [True, False])
def test_the_hint_fits_what_was_found(
    tmp_path: Path, name: str, start: bytes, hint: str, *, alone: bool
) -> None:
    path = tmp_path / name
    path.write_bytes(start + bytes(300))

    with pytest.raises(SeriesError) as caught:
        find_series([path if alone else tmp_path])

    assert hint in caught.value.hint


def test_a_dicomdir_alone_is_said_to_list_files_only(tmp_path: Path) -> None:
    write_dicomdir(tmp_path / "DICOMDIR")

    with pytest.raises(SeriesError, match="1 × DICOMDIR") as caught:
        find_series([tmp_path / "DICOMDIR"])

    assert "a DICOMDIR only lists files: pass the folder that holds them" in caught.value.hint


def write_dicomdir(path: Path) -> None:
    """The directory of a disc, without entries."""
    directory = Dataset()
    directory.file_meta = FileMetaDataset()
    directory.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    directory.file_meta.MediaStorageSOPClassUID = MediaStorageDirectoryStorage
    directory.file_meta.MediaStorageSOPInstanceUID = UID(uid("directory"))
    directory.FileSetID = "DISC"
    directory.save_as(path, enforce_file_format=True)


def test_a_dicomdir_is_passed_over(tmp_path: Path) -> None:
    write_xa(tmp_path / "IMAGES" / "IM1")
    write_dicomdir(tmp_path / "DICOMDIR")

    found = find_series([tmp_path])

    assert [cine.frames for cine in found.cines] == [4]
    assert found.skipped_counts == {DICOMDIR: 1}
    assert found.damaged == ()


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
