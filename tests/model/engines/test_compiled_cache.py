"""What is kept of compiled networks, and what becomes of it when something is wrong."""

from __future__ import annotations

import os
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

from casgan_dicom.model.engines import compiled_cache
from casgan_dicom.model.engines.compiled_cache import cache_folder, forget, keep, kept

FACTS = {"network": "a", "size": 64}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a cache in use; not made yet."""
    monkeypatch.setenv("CASGAN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / compiled_cache.FOLDER


def only_file(folder: Path) -> Path:
    (path,) = folder.iterdir()
    return path


def test_what_was_kept_is_given_for_the_same_facts_only(folder: Path) -> None:
    keep(FACTS, b"compiled")

    assert kept(dict(reversed(FACTS.items()))) == b"compiled"
    assert kept({**FACTS, "size": 65}) is None


@pytest.mark.parametrize("content", [b"", b"short", b"0" * 64 + b"\ncompiled"])
def test_a_file_that_is_not_what_it_says_goes(folder: Path, content: bytes) -> None:
    keep(FACTS, b"compiled")
    only_file(folder).write_bytes(content)

    assert kept(FACTS) is None
    assert list(folder.iterdir()) == []


def test_what_is_forgotten_is_gone(folder: Path) -> None:
    keep(FACTS, b"compiled")

    forget(FACTS)
    forget(FACTS)

    assert kept(FACTS) is None


def test_no_keeps_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CASGAN_CACHE", "no")

    keep(FACTS, b"compiled")

    assert cache_folder() is None
    assert kept(FACTS) is None
    assert not folder.exists()


@pytest.mark.parametrize("named", [None, ""])
def test_it_lies_in_the_cache_folder_of_the_user(
    named: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("CASGAN_CACHE")
    if named is not None:
        monkeypatch.setenv("CASGAN_CACHE", named)

    assert cache_folder() == tmp_path / "casgan-dicom" / "compiled"


def test_a_place_that_cannot_be_written_is_no_fault(folder: Path) -> None:
    folder.parent.parent.mkdir(exist_ok=True)
    folder.parent.write_bytes(b"a file where the folder should be")

    keep(FACTS, b"compiled")

    assert kept(FACTS) is None


def test_a_folder_that_others_may_write_to_is_left_alone(folder: Path) -> None:
    keep(FACTS, b"compiled")
    folder.chmod(0o770)

    assert kept(FACTS) is None
    keep({"network": "b"}, b"compiled")
    assert len(list(folder.iterdir())) == 1


def test_only_the_user_may_look_into_the_folder(folder: Path) -> None:
    keep(FACTS, b"compiled")

    assert folder.stat().st_mode & 0o777 == 0o700


def test_what_was_used_longest_ago_goes_first(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled_cache, "MOST_BYTES", 3 * 100)
    for age, name in ((30, "oldest"), (20, "older"), (10, "old")):
        before = set(folder.glob("*"))
        keep({"network": name}, bytes(30))
        for path in set(folder.iterdir()) - before:
            os.utime(path, (path.stat().st_atime, path.stat().st_mtime - age))
    assert kept({"network": "oldest"}) is not None  # and so it is the last used

    keep({"network": "new"}, bytes(30))

    there = [name for name in ("oldest", "older", "old", "new") if kept({"network": name}) is not None]
    assert there == ["oldest", "old", "new"]


def test_a_network_larger_than_the_cache_is_not_kept(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled_cache, "MOST_BYTES", 100)

    keep(FACTS, bytes(60))

    assert not folder.exists()


@pytest.mark.parametrize(("age_s", "left"), [(10.0, 2), (7200.0, 1)])
def test_what_was_never_finished_goes_after_an_hour(folder: Path, age_s: float, left: int) -> None:
    folder.mkdir(mode=0o700, parents=True)
    part = folder / f".{'0' * 64}.compiled.{'a' * 16}.part"
    part.write_bytes(b"half")
    os.utime(part, (part.stat().st_mtime - age_s,) * 2)

    keep(FACTS, b"compiled")

    assert len(list(folder.iterdir())) == left


def _write_and_read(number: int) -> int:
    """Keep and read the same network many times; how often something else was read."""
    wrong = 0
    for _ in range(40):
        keep(FACTS, bytes([number]) * 50_000)
        found = kept(FACTS)
        wrong += found is None or len(set(found)) != 1 or len(found) != 50_000
    return wrong


def test_several_processes_at_once_read_whole_files_only(folder: Path) -> None:
    with ProcessPoolExecutor(3) as pool:
        assert list(pool.map(_write_and_read, range(3))) == [0, 0, 0]
