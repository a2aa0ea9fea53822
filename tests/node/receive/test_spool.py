"""Files on the disk: in their place whole, or gone."""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom import dcmread

from casgan_dicom.node.receive.spool import (
    CANNOT_WRITE,
    LOW_SPACE,
    TOO_LONG,
    Intake,
    Opening,
    Spool,
    Swept,
    file_head,
)
from casgan_dicom.node.state.layout import Layout
from casgan_dicom.uids import IMPLEMENTATION_CLASS_UID
from tests.node.listening import digest, open_files
from tests.node.wire import EXPLICIT, XA
from tests.support.factories import uid

OPENING = Opening(XA, uid("instance"), EXPLICIT, "CATHLAB")


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    """An empty spool that takes up to 1000 bytes; nothing of it may stay open."""
    before = open_files()
    spool = Spool(Layout(tmp_path / "data"), max_instance_bytes=1000, min_free_bytes=0)
    spool.make()
    yield spool
    assert open_files() == before


def filled(spool: Spool, *pieces: bytes) -> Intake:
    """An instance of which everything has come."""
    intake = spool.begin(OPENING)
    for piece in pieces:
        intake.write(memoryview(piece))
    return intake


def files(spool: Spool) -> list[str]:
    """Every file below the data folder."""
    data = spool.layout.data
    return sorted(str(path.relative_to(data)) for path in data.rglob("*") if path.is_file())


def test_instance_goes_to_its_place_with_the_digest_of_what_came(spool: Spool) -> None:
    intake = filled(spool, b"abc", b"", b"def")

    path = spool.keep(intake, uid("series"), uid("instance"))

    wanted = digest(EXPLICIT, b"abcdef")
    assert intake.digest == wanted
    assert path == spool.layout.spool / uid("series") / f"{uid('instance')}-{wanted[:16]}.dcm"
    assert path.read_bytes() == file_head(OPENING) + b"abcdef"
    assert path.stat().st_size == intake.bytes
    intake.release()
    assert files(spool) == [str(path.relative_to(spool.layout.data))]


def test_head_of_a_file_is_understood_by_another_implementation(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(file_head(OPENING))

    meta = dcmread(path).file_meta

    assert meta.MediaStorageSOPClassUID == XA
    assert meta.MediaStorageSOPInstanceUID == uid("instance")
    assert meta.TransferSyntaxUID == EXPLICIT
    assert meta.ImplementationClassUID == IMPLEMENTATION_CLASS_UID
    assert meta.SourceApplicationEntityTitle == "CATHLAB"
    assert meta.FileMetaInformationVersion == b"\0\1"
    assert len(file_head(OPENING)) == 144 + meta.FileMetaInformationGroupLength


def test_what_is_no_uid_does_not_get_into_the_head() -> None:
    head = file_head(Opening(XA, "../Doe^John", EXPLICIT, "CATHLAB"))

    assert b"Doe" not in head


@pytest.mark.parametrize(
    ("series", "sop"), [("..", "1.2"), ("1.2", "../1"), ("", "1.2"), ("incoming", "1.2")]
)
def test_nothing_but_uids_gets_into_a_path(spool: Spool, series: str, sop: str) -> None:
    intake = filled(spool, b"abc")

    with pytest.raises(ValueError, match="no UID"):
        spool.keep(intake, series, sop)

    intake.discard()
    assert files(spool) == []


def test_folders_and_files_are_readable_by_their_owner_alone(spool: Spool) -> None:
    intake = filled(spool, b"abc")
    path = spool.keep(intake, uid("series"), uid("instance"))
    intake.release()

    layout = spool.layout
    for each in (layout.data, layout.spool, layout.incoming, layout.quarantine, path.parent, path):
        assert each.stat().st_mode & 0o077 == 0


def test_quarantined_bytes_lie_once_however_often_they_come(spool: Spool) -> None:
    for _ in range(2):
        intake = filled(spool, b"garbage")
        path = spool.put_aside(intake)
        intake.release()

    assert files(spool) == [str(path.relative_to(spool.layout.data))]
    assert path.parent == spool.layout.quarantine


def test_discarded_instance_leaves_nothing_wherever_it_was(spool: Spool) -> None:
    filled(spool, b"abc").discard()
    kept = filled(spool, b"abc")
    spool.keep(kept, uid("series"), uid("instance"))
    kept.discard()
    kept.discard()

    assert files(spool) == []


def test_released_instance_is_not_deleted_by_a_later_discard(spool: Spool) -> None:
    intake = filled(spool, b"abc")
    path = spool.keep(intake, uid("series"), uid("instance"))

    intake.release()
    intake.discard()

    assert path.is_file()


def test_too_long_instance_is_deleted_at_once(spool: Spool) -> None:
    intake = filled(spool, bytes(1000))
    assert not intake.trouble

    intake.write(memoryview(b"x"))

    assert intake.trouble == TOO_LONG
    assert intake.too_long
    assert files(spool) == []
    intake.write(memoryview(b"more"))  # is swallowed


def test_instance_is_refused_from_the_start_below_the_watermark(spool: Spool) -> None:
    spool.min_free_bytes = 2**62

    intake = filled(spool, b"abc")

    assert intake.trouble == LOW_SPACE
    assert files(spool) == []


def test_watermark_is_looked_at_while_an_instance_grows(spool: Spool) -> None:
    spool.max_instance_bytes = 2**40
    intake = filled(spool, bytes(2**20))
    spool.min_free_bytes = 2**62

    for _ in range(16):
        intake.write(memoryview(bytes(2**20)))

    assert intake.trouble == LOW_SPACE
    assert files(spool) == []


def test_instance_that_cannot_be_written_says_so_and_does_not_raise(spool: Spool) -> None:
    spool.layout.incoming.rmdir()

    intake = filled(spool, b"abc")

    assert intake.trouble == CANNOT_WRITE


def test_folder_that_somebody_deleted_is_made_again(spool: Spool) -> None:
    first = filled(spool, b"abc")
    path = spool.keep(first, uid("series"), uid("instance"))
    first.discard()
    path.parent.rmdir()

    second = filled(spool, b"abc")
    assert spool.keep(second, uid("series"), uid("instance")) == path
    second.release()
    assert path.is_file()


def test_many_threads_may_open_a_series_at_once(spool: Spool) -> None:
    intakes = [filled(spool, str(k).encode()) for k in range(16)]
    start = threading.Barrier(16)

    def keep(k: int) -> None:
        start.wait()
        spool.keep(intakes[k], uid("series"), f"1.{k}")

    threads = [threading.Thread(target=keep, args=[k]) for k in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for intake in intakes:
        intake.release()

    assert len(files(spool)) == 16


def test_sweep_deletes_what_was_never_acknowledged(spool: Spool) -> None:
    kept = filled(spool, b"kept")
    known = spool.keep(kept, uid("series"), uid("kept"))
    kept.release()
    orphan = filled(spool, b"orphan")
    lost = spool.keep(orphan, uid("other"), uid("orphan"))
    orphan.release()
    filled(spool, b"half").release()

    swept = spool.sweep([known], [known])

    assert swept == Swept(parts=1, orphans=1, missing=0)
    assert files(spool) == [str(known.relative_to(spool.layout.data))]
    assert not lost.parent.exists()


def test_sweep_counts_files_that_are_wanted_and_gone(spool: Spool) -> None:
    gone, kept_by_nobody = (spool.place(uid("series"), uid(name), "0" * 64) for name in ("a", "b"))

    assert spool.sweep([gone, kept_by_nobody], [gone]) == Swept(0, 0, 1)


def test_sweep_knows_files_after_the_data_folder_was_moved(spool: Spool, tmp_path: Path) -> None:
    intake = filled(spool, b"kept")
    known = spool.keep(intake, uid("series"), uid("kept"))
    intake.release()
    moved = Spool(Layout(tmp_path / "elsewhere"), 1000, 0)
    spool.layout.data.rename(moved.layout.data)

    assert moved.sweep([known], [known]) == Swept(0, 0, 0)
    assert len(files(moved)) == 1


def test_sweep_takes_nothing_from_a_listener_that_runs(spool: Spool) -> None:
    half, placed = filled(spool, b"half"), filled(spool, b"placed")
    spool.keep(placed, uid("series"), uid("placed"))

    assert Spool(spool.layout, 1000, 0).sweep([], []) == Swept(0, 0, 0)

    assert len(files(spool)) == 2
    half.discard()
    placed.discard()


def test_file_is_locked_until_it_is_released(spool: Spool) -> None:
    intake = filled(spool, b"abc")
    path = spool.keep(intake, uid("series"), uid("instance"))
    other = os.open(path, os.O_RDONLY)
    try:
        with pytest.raises(BlockingIOError):
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        intake.release()
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    finally:
        os.close(other)
