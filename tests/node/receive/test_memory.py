"""Success is answered for bytes on the disk, never for what the ledger remembers."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from casgan_dicom.node.settings import NodeSettings, RetentionSettings
from casgan_dicom.node.state.layout import Layout
from casgan_dicom.node.state.ledger import Ledger
from casgan_dicom.node.work.cleaner import Cleaner
from tests.node.listening import Listening, check_spool, data_set, events, listening, log_lines
from tests.node.wire import XA, Wire
from tests.support.factories import uid


def _set_state(layout: Layout, state: str) -> None:
    """What coordinator and worker do."""
    with sqlite3.connect(layout.ledger) as db:
        db.execute("UPDATE jobs SET state = ?", [state])
    db.close()


def _remove(path: Path) -> None:
    path.unlink()


def _remove_folder(path: Path) -> None:
    path.unlink()
    path.parent.rmdir()


def _said_at_next_start(data: Path, content: bytes, state: str) -> list[dict[str, Any]]:
    """What a listener logs that finds a job in this state whose one file is gone, folder and all."""
    with listening(data) as running, Wire.associated(running.port) as wire:
        wire.store(XA, uid("instance"), content)
    _set_state(running.layout, state)
    _remove_folder(Path(running.rows()[0]["path"]))
    with log_lines() as lines, listening(data):
        pass
    return events(lines)


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def _lengthen(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\0\0")


def _rot(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-7] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("harm", [_remove, _remove_folder, _cut, _lengthen, _rot])
@pytest.mark.parametrize("state", ["receiving", "done"])
def test_known_instance_whose_file_is_no_longer_whole_is_stored_again(
    running: Listening, folder: Path, harm: Callable[[Path], None], state: str
) -> None:
    content = data_set(folder)
    with Wire.associated(running.port) as wire:
        assert wire.store(XA, uid("instance"), content).status == 0
        _set_state(running.layout, state)
        harm(Path(running.rows()[0]["path"]))

        assert wire.store(XA, uid("instance"), content).status == 0

    assert check_spool(running.layout) == 1
    assert [job["state"] for job in running.rows("jobs")] == [state]


def test_known_instance_is_looked_for_where_the_data_folder_is_now(tmp_path: Path, folder: Path) -> None:
    content = data_set(folder)
    with listening(tmp_path / "before") as running, Wire.associated(running.port) as wire:
        assert wire.store(XA, uid("instance"), content).status == 0
    (tmp_path / "before").rename(tmp_path / "now")

    with listening(tmp_path / "now") as running, Wire.associated(running.port) as wire:
        assert wire.store(XA, uid("instance"), content).status == 0

        assert check_spool(running.layout) == 1


def test_job_that_lacks_files_goes_on_when_they_are_sent_again(running: Listening, folder: Path) -> None:
    content = data_set(folder)
    with Wire.associated(running.port) as wire:
        wire.store(XA, uid("instance"), content)
        _set_state(running.layout, "lacking")
        _remove(Path(running.rows()[0]["path"]))

        assert wire.store(XA, uid("instance"), content).status == 0

    (job,) = running.rows("jobs")
    assert (job["state"], job["run"], job["instances"]) == ("receiving", 2, 1)


@pytest.mark.parametrize("state", ["done", "skipped", "undelivered", "delivering"])
def test_what_may_be_deleted_is_no_error_at_the_next_start(tmp_path: Path, folder: Path, state: str) -> None:
    said = _said_at_next_start(tmp_path / "data", data_set(folder), state)

    assert not [line for line in said if line["level"] in ("error", "critical")]


@pytest.mark.parametrize("state", ["receiving", "queued", "converting", "failed"])
def test_missing_file_of_an_unfinished_job_is_an_error(tmp_path: Path, folder: Path, state: str) -> None:
    said = _said_at_next_start(tmp_path / "data", data_set(folder), state)

    assert [line["count"] for line in said if line["level"] == "error"] == [1]


def _removed(layout: Layout) -> None:
    """What retention does with everything that is there, all of it delivered."""
    with closing(Ledger(layout.ledger)) as ledger:
        with ledger.transaction() as db:
            db.execute("UPDATE jobs SET state = 'skipped'")
        rules = RetentionSettings(ended_seconds=1.0)
        assert Cleaner(NodeSettings(data=layout.data, retention=rules), ledger).clean(1e12)


def test_known_instance_that_was_removed_is_answered_and_not_stored_again(
    running: Listening, folder: Path
) -> None:
    content = data_set(folder)
    with Wire.associated(running.port) as wire:
        wire.store(XA, uid("instance"), content)
        _removed(running.layout)
        assert running.files() == []

        assert wire.store(XA, uid("instance"), content).status == 0

    assert running.files() == []
    assert [row["copies"] for row in running.rows()] == [2]
    assert [job["state"] for job in running.rows("jobs")] == ["skipped"]


def test_known_instance_that_was_removed_is_stored_again_for_a_job_that_lacks_it(
    running: Listening, folder: Path
) -> None:
    content = data_set(folder)
    with Wire.associated(running.port) as wire:
        wire.store(XA, uid("instance"), content)
        _removed(running.layout)
        _set_state(running.layout, "lacking")

        assert wire.store(XA, uid("instance"), content).status == 0

    assert check_spool(running.layout) == 1
    assert [job["state"] for job in running.rows("jobs")] == ["receiving"]


@pytest.mark.parametrize("state", ["skipped", "receiving"])
def test_what_was_removed_is_no_error_at_the_next_start(tmp_path: Path, folder: Path, state: str) -> None:
    with listening(tmp_path / "data") as running, Wire.associated(running.port) as wire:
        wire.store(XA, uid("instance"), data_set(folder))
    _removed(running.layout)
    _set_state(running.layout, state)

    with log_lines() as lines, listening(tmp_path / "data"):
        pass

    assert not [line for line in events(lines) if line["level"] in ("error", "critical")]
