"""Files that are whole or not there, also after a power cut."""

from __future__ import annotations

import errno
import hashlib
import json
import os
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest

from casgan_dicom import disk
from casgan_dicom.disk import (
    file_sha256,
    is_part,
    new_part,
    sync_tree,
    whole_file,
    write_json,
    write_output,
)
from casgan_dicom.errors import OutputError
from casgan_dicom.lab.xa import RunHeader, write_cine

Calls = list[tuple[str, Path]]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    """Every fsync and rename of this process with its path, in order; of a rename, the new one."""
    found: Calls = []
    fsync, replace = os.fsync, os.replace

    def noted_fsync(handle: int) -> None:
        found.append(("fsync", Path(f"/proc/self/fd/{handle}").readlink()))
        fsync(handle)

    def noted_replace(old: Path, new: Path) -> None:
        replace(old, new)
        found.append(("rename", Path(new)))

    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(os, "replace", noted_replace)
    return found


def write_run(path: Path) -> None:
    write_cine(path, np.zeros((2, 8, 8), np.uint8), RunHeader(seed=1))


@pytest.mark.parametrize(
    "write",
    [
        lambda path: write_json(path, {"a": 1}),
        lambda path: write_output(path, b"a"),
        write_run,
    ],
    ids=["json", "bytes", "simulated run"],
)
def test_a_file_is_flushed_before_it_is_renamed_and_its_folder_after(
    tmp_path: Path, calls: Calls, write: Callable[[Path], None]
) -> None:
    write(tmp_path / "a")

    assert calls[1:] == [("rename", tmp_path / "a"), ("fsync", tmp_path)]
    [kind, flushed] = calls[0]
    assert kind == "fsync"
    assert flushed.parent == tmp_path
    assert is_part(flushed)
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_what_is_written_is_read_again_and_nothing_else_stays(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"a": 1})
    write_json(tmp_path / "a.json", {"b": [2]})

    assert json.loads((tmp_path / "a.json").read_text()) == {"b": [2]}
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_a_file_that_cannot_be_written_leaves_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_json(tmp_path / "a.json", {"a": 1})

    def full(file: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(disk, "sync_file", full)
    with pytest.raises(OSError, match="No space"):
        write_json(tmp_path / "a.json", {"b": 2})
    with pytest.raises(OutputError, match=r"b\.json: cannot be written \(No space left on device\)"):
        write_output(tmp_path / "b.json", b"{}")

    assert json.loads((tmp_path / "a.json").read_text()) == {"a": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_a_block_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def half() -> None:
        with whole_file(tmp_path / "a") as file:
            file.write(b"half")
            raise ValueError("halfway")

    with pytest.raises(ValueError, match="halfway"):
        half()

    assert list(tmp_path.iterdir()) == []


def test_json_reads_as_it_always_did(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"name": "é", "list": [1, 2.5]})

    assert (tmp_path / "a.json").read_bytes() == (
        b'{\n  "name": "\\u00e9",\n  "list": [\n    1,\n    2.5\n  ]\n}\n'
    )


def test_temporary_names_are_told_from_others(tmp_path: Path) -> None:
    part, file = new_part(tmp_path / "1.2.dcm")
    file.close()

    assert is_part(part)
    assert not any(is_part(Path(name)) for name in ("1.2.dcm", ".1.2.dcm", "1.2.dcm.77.part", ".a.x.part"))


def test_temporary_names_cannot_be_foretold(tmp_path: Path) -> None:
    made = [new_part(tmp_path / "a") for _ in range(3)]
    for _, file in made:
        file.close()

    assert len({part for part, _ in made}) == 3


@pytest.mark.parametrize("kind", ["link", "file"])
def test_nothing_that_stands_under_the_temporary_name_is_written_through(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """Whoever may write into the folder could lay a link to a file of ours there."""
    monkeypatch.setattr("casgan_dicom.disk.secrets.token_hex", lambda count: "00" * count)
    planted, precious = tmp_path / f".a.{'00' * 8}.part", tmp_path / "precious"
    precious.write_bytes(b"precious")
    if kind == "link":
        planted.symlink_to(precious)
    else:
        planted.write_bytes(b"precious")

    with pytest.raises(FileExistsError):
        disk.write_whole(tmp_path / "a", b"new")

    assert precious.read_bytes() == planted.read_bytes() == b"precious"
    assert not (tmp_path / "a").exists()


def test_the_digest_is_that_of_the_bytes(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"some bytes")

    assert file_sha256(tmp_path / "a") == hashlib.sha256(b"some bytes").hexdigest()


def test_a_folder_is_flushed_with_all_that_is_in_it(tmp_path: Path, calls: Calls) -> None:
    (tmp_path / "inner").mkdir()
    for name in ("a", "inner/b"):
        (tmp_path / name).write_bytes(b"x")

    sync_tree(tmp_path)

    inner = tmp_path / "inner"
    assert sorted(calls) == sorted(("fsync", path) for path in (tmp_path, inner, inner / "b", tmp_path / "a"))
    assert (
        calls.index(("fsync", inner / "b")) < calls.index(("fsync", inner)) < calls.index(("fsync", tmp_path))
    )


@pytest.mark.parametrize(
    ("code", "raised"), [(errno.EINVAL, False), (errno.ENOTSUP, False), (errno.EIO, True)]
)
def test_a_file_system_that_cannot_flush_folders_is_no_fault_and_a_failed_flush_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, raised: bool
) -> None:
    fsync = os.fsync

    def refuse_folders(handle: int) -> None:
        if Path(f"/proc/self/fd/{handle}").readlink().is_dir():
            raise OSError(code, os.strerror(code))
        fsync(handle)

    monkeypatch.setattr(os, "fsync", refuse_folders)

    with pytest.raises(OSError, match=os.strerror(code)) if raised else nullcontext():
        write_json(tmp_path / "a.json", {"a": 1})

    assert json.loads((tmp_path / "a.json").read_text()) == {"a": 1}
