"""A folder as a destination."""

from __future__ import annotations

import os
import stat
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from pydicom import dcmread

from casgan_dicom.errors import PeerError, SeriesError
from casgan_dicom.node.client.folder import Folder
from casgan_dicom.node.client.results import StoreResult
from casgan_dicom.node.settings import FolderLayout, Readers
from tests.support.factories import moving_frames, uid, write_xa


@pytest.fixture
def share(tmp_path: Path) -> Path:
    made = tmp_path / "share"
    made.mkdir()
    return made


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """Two objects of one series, and one of another."""
    series = {"a": "series", "b": "series", "c": "other"}
    return [
        write_xa(tmp_path / name, SOPInstanceUID=uid(name), SeriesInstanceUID=uid(of))
        for name, of in series.items()
    ]


def told(folder: Folder, files: Sequence[Path]) -> list[StoreResult]:
    results: list[StoreResult] = []
    folder.store(files, results.append)
    return results


def below(folder: Path) -> dict[str, bytes]:
    """Every file, by its path."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize("layout", ["series", "flat"])
def test_each_object_is_a_file_of_the_same_bytes(
    share: Path, files: list[Path], layout: FolderLayout
) -> None:
    results = told(Folder(share, layout, "owner"), files)

    assert [(each.path, each.outcome, each.status) for each in results] == [(p, "stored", 0) for p in files]
    assert [each.sop_instance_uid for each in results] == [uid(name) for name in "abc"]
    places = {
        name: f"{uid('study')}/{uid(of)}/"
        for name, of in zip("abc", ("series", "series", "other"), strict=True)
    }
    assert below(share) == {
        f"{places[name] if layout == 'series' else ''}{uid(name)}.dcm": path.read_bytes()
        for name, path in zip("abc", files, strict=True)
    }


def test_what_is_there_already_is_stored_and_not_written_again(share: Path, files: list[Path]) -> None:
    folder = Folder(share, "series", "owner")
    told(folder, files)
    before = {path: path.stat().st_mtime_ns for path in share.rglob("*.dcm")}

    results = told(folder, files)

    assert [each.outcome for each in results] == ["stored"] * 3
    assert {path: path.stat().st_mtime_ns for path in share.rglob("*.dcm")} == before


@pytest.mark.parametrize("how", ["other bytes", "shorter", "longer", "empty"])
def test_another_file_of_that_name_is_left_and_named(share: Path, files: list[Path], how: str) -> None:
    ours = files[0].read_bytes()
    there = {"other bytes": ours[:-1] + b"\xff", "shorter": ours[:-2], "longer": ours + b"\0", "empty": b""}[
        how
    ]
    (share / f"{uid('a')}.dcm").write_bytes(there)

    results = told(Folder(share, "flat", "owner"), files)

    assert [each.outcome for each in results] == ["refused", "stored", "stored"]
    assert f"{share}/{uid('a')}.dcm" in results[0].reason
    assert (share / f"{uid('a')}.dcm").read_bytes() == there


def fails(folder: Folder, files: Sequence[Path]) -> PeerError:
    with pytest.raises(PeerError) as caught:
        told(folder, files)
    assert str(folder.root) in caught.value.message
    assert caught.value.hint
    return caught.value


@pytest.mark.parametrize("layout", ["series", "flat"])
def test_a_share_that_is_not_mounted_is_away_and_not_made(
    tmp_path: Path, files: list[Path], layout: FolderLayout
) -> None:
    error = fails(Folder(tmp_path / "away", layout, "owner"), files)

    assert "is not there" in error.message
    assert not (tmp_path / "away").exists()


def test_a_share_that_goes_between_two_objects_is_away(
    tmp_path: Path, share: Path, files: list[Path]
) -> None:
    def unmount(_: StoreResult) -> None:
        share.rename(tmp_path / "unmounted")

    with pytest.raises(PeerError, match="is not there"):
        Folder(share, "series", "owner").store(files, unmount)
    assert not share.exists()


def test_a_file_in_place_of_the_folder_is_told(tmp_path: Path, files: list[Path]) -> None:
    (tmp_path / "file").write_bytes(b"")
    fails(Folder(tmp_path / "file", "series", "owner"), files)


def test_something_else_in_place_of_an_object_is_told(share: Path, files: list[Path]) -> None:
    (share / f"{uid('a')}.dcm").mkdir()
    fails(Folder(share, "flat", "owner"), files)


@contextmanager
def mounted(folder: Path, options: str) -> Iterator[Path]:
    """A file system of its own, in memory; skips where none can be mounted."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", options, "none", str(folder)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("no file system can be mounted here")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_a_folder_that_may_not_be_written_to_is_told(tmp_path: Path, files: list[Path]) -> None:
    with mounted(tmp_path / "locked", "ro") as locked:
        error = fails(Folder(locked, "series", "owner"), files)
    assert "read-only" in error.message


@pytest.mark.skipif(os.getuid() == 0, reason="root may write everywhere")
def test_a_folder_of_somebody_else_is_told(share: Path, files: list[Path]) -> None:
    share.chmod(0o555)
    error = fails(Folder(share, "series", "owner"), files)
    assert "may not be written to" in error.message


@pytest.fixture
def full(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB."""
    with mounted(tmp_path / "full", "size=64k") as made:
        yield made


def test_a_full_disk_is_told_leaves_no_part_and_goes_on_later(tmp_path: Path, full: Path) -> None:
    path = write_xa(tmp_path / "long", moving_frames(16), SOPInstanceUID=uid("long"))
    folder = Folder(full, "flat", "owner")

    error = fails(folder, [path])

    assert "is full" in error.message
    assert below(full) == {}
    small = write_xa(tmp_path / "small", moving_frames(1), SOPInstanceUID=uid("small"))
    assert [each.outcome for each in told(folder, [small])] == ["stored"]


@pytest.mark.parametrize(
    ("readers", "file", "folder"),
    [("owner", 0o600, 0o700), ("group", 0o640, 0o750), ("all", 0o644, 0o755)],
)
@pytest.mark.parametrize("umask", [0o077, 0o000])
def test_those_may_read_who_should(
    share: Path, files: list[Path], readers: Readers, file: int, folder: int, umask: int
) -> None:
    before = os.umask(umask)
    try:
        told(Folder(share, "series", readers), files)
    finally:
        os.umask(before)

    modes = {p: stat.S_IMODE(p.stat().st_mode) for p in share.rglob("*")}
    assert {mode for path, mode in modes.items() if path.is_file()} == {file}
    assert {mode for path, mode in modes.items() if path.is_dir()} == {folder}


def test_what_a_crash_left_is_removed(share: Path, files: list[Path]) -> None:
    (share / f".{uid('a')}.dcm.0123456789abcdef.part").write_bytes(b"half")
    (share / "of somebody else").write_bytes(b"")

    told(Folder(share, "flat", "owner"), files[:1])

    assert below(share).keys() == {f"{uid('a')}.dcm", "of somebody else"}


def test_a_file_that_cannot_be_read_is_an_error_of_the_file(share: Path, tmp_path: Path) -> None:
    (tmp_path / "no").write_bytes(b"no DICOM")
    with pytest.raises(SeriesError, match="no DICOM file"):
        told(Folder(share, "flat", "owner"), [tmp_path / "no"])


@pytest.mark.parametrize("value", ["..", "", "1.2/3", None])
def test_a_series_without_a_uid_that_is_one_makes_no_folder(
    share: Path, tmp_path: Path, value: str | None
) -> None:
    path = write_xa(tmp_path / "odd", SOPInstanceUID=uid("odd"))
    ds = dcmread(path)
    ds["SeriesInstanceUID"]._value = value
    ds.save_as(path)

    with pytest.raises(SeriesError, match="absent or no UID") as caught:
        told(Folder(share, "series", "owner"), [path])

    assert "flat" in caught.value.hint
    assert list(share.iterdir()) == []
    assert [each.outcome for each in told(Folder(share, "flat", "owner"), [path])] == ["stored"]
