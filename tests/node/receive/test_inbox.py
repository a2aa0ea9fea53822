"""What others put into a watched folder is taken whole, once, and only then deleted."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from pydicom import dcmread
from pynetdicom.dsutils import split_dataset

from casgan_dicom.node.receive.inbox import Inbox
from casgan_dicom.node.receive.reception import Reception
from casgan_dicom.node.receive.spool import Spool
from casgan_dicom.node.settings import InboxSettings
from casgan_dicom.node.state.layout import Layout
from casgan_dicom.node.state.ledger import Ledger
from casgan_dicom.node.state.receipts import Receipts
from tests.node.listening import rows_of
from tests.node.nodes import node_settings, running_node
from tests.support.factories import write_xa

REST_SECONDS = 5.0


class Watched:
    """A folder, what watches it, and a clock that a test sets."""

    def __init__(self, folder: Path, *, min_free_bytes: int = 0) -> None:
        self.folder, self.layout, self.now = folder / "inbox", Layout(folder / "node"), 1000.0
        self.folder.mkdir(exist_ok=True)
        self.spool = Spool(self.layout, 2**30, min_free_bytes)
        self.spool.make()
        reception = Reception(self.spool, Receipts(Ledger(self.layout.ledger), "recipe"))
        settings = InboxSettings(str(self.folder), rest_seconds=REST_SECONDS)
        self.meanwhile: Callable[[], object] = lambda: None
        self.inbox = Inbox(settings, self.spool, reception, self._clock)

    def _clock(self) -> float:
        """The time; it is asked after the folder was read, and before a file is opened."""
        self.meanwhile()
        return self.now

    def look(self, *, later: float = REST_SECONDS) -> int:
        """Look, and look again a while later; how many files were taken."""
        taken = self.inbox.look()
        self.now += later
        return taken + self.inbox.look()

    def names(self) -> list[str]:
        """What lies in the folder."""
        return sorted(path.name for path in self.folder.rglob("*") if path.is_file())


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    return Watched(tmp_path)


def test_a_file_that_rests_is_taken_and_deleted(watched: Watched) -> None:
    (watched.folder / "below").mkdir()
    path = write_xa(watched.folder / "below" / "run.dcm")
    sent = dcmread(path)

    assert watched.look() == 1

    assert watched.names() == []
    (row,) = rows_of(watched.layout)
    assert dcmread(row["path"]).PixelData == sent.PixelData
    assert (row["peer"], row["address"], row["sop_uid"]) == ("FOLDER", "127.0.0.1", sent.SOPInstanceUID)


def test_a_file_that_grows_is_waited_for(watched: Watched, tmp_path: Path) -> None:
    content = write_xa(tmp_path / "run.dcm").read_bytes()
    path = watched.folder / "run.dcm"
    for end in (200, 1000, len(content) - 1):
        path.write_bytes(content[:end])
        assert watched.look(later=REST_SECONDS - 1) == 0
    path.write_bytes(content)

    assert watched.look() == 1
    assert len(rows_of(watched.layout)) == 1
    assert rows_of(watched.layout, "quarantine") == []


@pytest.mark.parametrize("name", [".run.dcm", "run.dcm.part", "run.PARTIAL", "run.dcm.tmp", "run.dcm~"])
def test_what_is_named_as_unfinished_waits_for_its_name(watched: Watched, tmp_path: Path, name: str) -> None:
    shutil.copy(write_xa(tmp_path / "run.dcm"), watched.folder / name)
    assert watched.look() == 0

    (watched.folder / name).rename(watched.folder / "run.dcm")

    assert watched.look() == 1


@pytest.mark.parametrize("content", [b"", b"not DICOM", bytes(128) + b"DICM", bytes(128) + b"DICMgarbage"])
def test_what_is_no_dicom_file_stays(watched: Watched, content: bytes) -> None:
    (watched.folder / "notes.txt").write_bytes(content)

    assert watched.look() == watched.look() == 0

    assert watched.names() == ["notes.txt"]
    assert rows_of(watched.layout) == rows_of(watched.layout, "quarantine") == []


def test_a_damaged_instance_goes_into_quarantine(watched: Watched, tmp_path: Path) -> None:
    content = write_xa(tmp_path / "run.dcm").read_bytes()
    (watched.folder / "run.dcm").write_bytes(content[:-100])

    assert watched.look() == 1

    assert watched.names() == []
    (row,) = rows_of(watched.layout, "quarantine")
    assert Path(row["path"]).is_file()


def test_the_same_instance_again_changes_nothing(watched: Watched, tmp_path: Path) -> None:
    path = write_xa(tmp_path / "run.dcm")
    for name in ("one.dcm", "two.dcm"):
        shutil.copy(path, watched.folder / name)

    assert watched.look() == 2

    (row,) = rows_of(watched.layout)
    assert row["copies"] == 2


def test_a_file_for_which_there_is_no_room_stays_and_is_taken_later(tmp_path: Path) -> None:
    full = Watched(tmp_path, min_free_bytes=2**60)
    write_xa(full.folder / "run.dcm")
    assert full.look() == 0
    assert full.names() == ["run.dcm"]

    assert Watched(tmp_path).look() == 1


@pytest.mark.parametrize(
    "make",
    [
        lambda path: path.symlink_to("/etc/passwd"),
        os.mkfifo,
        lambda path: path.mkdir(),
    ],
    ids=["link", "pipe", "folder"],
)
def test_nothing_but_a_regular_file_is_opened(watched: Watched, make: Callable[[Path], None]) -> None:
    make(watched.folder / "run.dcm")

    assert watched.look() == 0
    assert (watched.folder / "run.dcm").exists()


@pytest.mark.parametrize("kind", ["link", "pipe", "file"])
def test_what_comes_in_the_place_of_a_file_before_it_is_opened_is_not_read_for_it(
    watched: Watched, tmp_path: Path, kind: str
) -> None:
    path = write_xa(watched.folder / "run.dcm", SOPInstanceUID="1.2.3.1")
    other = write_xa(tmp_path / "other.dcm", SOPInstanceUID="1.2.3.2")
    watched.inbox.look()
    watched.now += REST_SECONDS

    def replace_it() -> None:
        path.unlink()
        if kind == "link":
            path.symlink_to(other)
        elif kind == "pipe":
            os.mkfifo(path)
        else:
            shutil.copy(other, path)

    watched.meanwhile = replace_it

    assert watched.inbox.look() == 0
    assert rows_of(watched.layout) == []
    assert path.exists()


def test_a_file_that_comes_in_the_place_of_one_is_not_deleted_for_it(
    watched: Watched, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_xa(watched.folder / "run.dcm", SOPInstanceUID="1.2.3.1")
    other = write_xa(tmp_path / "other.dcm", SOPInstanceUID="1.2.3.2")

    def replaced(asked: Path) -> object:
        found = split_dataset(asked)
        if dcmread(asked).SOPInstanceUID == "1.2.3.1":
            other.replace(path)
        return found

    monkeypatch.setattr("casgan_dicom.node.receive.inbox.split_dataset", replaced)
    watched.look()
    assert watched.names() == ["run.dcm"]

    watched.look()

    assert watched.names() == []
    assert "1.2.3.2" in {row["sop_uid"] for row in rows_of(watched.layout)}


def test_a_folder_that_is_gone_is_waited_for(watched: Watched) -> None:
    watched.folder.rmdir()
    assert watched.look() == watched.look() == 0

    watched.folder.mkdir()
    write_xa(watched.folder / "run.dcm")

    assert watched.look() == 1


def test_a_node_converts_what_is_put_into_its_folder(tmp_path: Path) -> None:
    folder = tmp_path / "inbox"
    folder.mkdir()
    settings = replace(node_settings(tmp_path), inboxes=(InboxSettings(str(folder), rest_seconds=0.1),))

    with running_node(settings) as node:
        write_xa(folder / "run.dcm")
        (row,) = node.wait_until_settled(1)

    assert (row.state, row.peer) == ("done", "FOLDER")
    assert list(folder.iterdir()) == []
