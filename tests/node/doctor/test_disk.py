"""The disk of the data folder: looked at, and left as it was."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from casgan_dicom.node.doctor import disk
from casgan_dicom.node.doctor.disk import kind_of, look_at_disk
from casgan_dicom.node.doctor.finding import Verdict
from casgan_dicom.node.settings import ListenerSettings, NodeSettings, RetentionSettings
from tests.node.doctor.looking import bad


def plain(data: Path, min_free_bytes: int = 0, **retention: int) -> NodeSettings:
    """A node that does not mind how full the disk is."""
    return NodeSettings(
        data=data,
        listener=ListenerSettings(min_free_bytes=min_free_bytes),
        retention=RetentionSettings(**retention),
    )


@pytest.fixture
def private(tmp_path: Path) -> Path:
    """A data folder as the node leaves it."""
    folder = tmp_path / "node"
    folder.mkdir(mode=0o700)
    return folder


@pytest.fixture(autouse=True)
def _on_a_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests may run in a container, or in memory."""
    monkeypatch.setattr(disk, "kind_of", lambda _: "ext4")
    monkeypatch.setattr(disk, "_SLOW_SECONDS", 1e6)  # however busy it is


def test_a_private_folder_on_a_local_disk_is_well_and_stays_empty(private: Path) -> None:
    assert bad(look_at_disk(plain(private))) == {}
    assert list(private.iterdir()) == []


def test_a_folder_that_is_not_there_is_looked_at_where_it_will_be_and_not_made(tmp_path: Path) -> None:
    data = tmp_path / "not" / "yet"

    assert bad(look_at_disk(plain(data))) == {}
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_others_may_enter_is_a_warning(private: Path) -> None:
    private.chmod(0o755)

    assert bad(look_at_disk(plain(private))) == {"data": Verdict.WARN}


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written_to_is_a_failure(private: Path) -> None:
    private.chmod(0o500)

    assert bad(look_at_disk(plain(private)))["data"] is Verdict.FAIL


def test_a_folder_that_is_a_file_is_a_failure(tmp_path: Path) -> None:
    path = tmp_path / "node"
    path.write_bytes(b"")

    assert bad(look_at_disk(plain(path)))["data"] is Verdict.FAIL


@pytest.mark.parametrize("kind", ["nfs", "nfs4", "cifs", "smb3", "fuse.sshfs", "9p", "tmpfs"])
def test_a_network_and_memory_are_no_place_for_databases(
    private: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(disk, "kind_of", lambda _: kind)

    assert bad(look_at_disk(plain(private))) == {"data": Verdict.FAIL}


def test_the_kind_of_a_file_system_is_what_the_system_says() -> None:
    assert kind_of(Path("/proc/self")) == "proc"


def test_space_is_held_against_the_watermark(private: Path) -> None:
    usage = shutil.disk_usage(private)

    assert bad(look_at_disk(plain(private, usage.total))) == {"listener.min_free_bytes": Verdict.FAIL}
    assert bad(look_at_disk(plain(private, int(usage.free * 0.7)))) == {
        "listener.min_free_bytes": Verdict.WARN
    }


def test_sizes_that_the_disk_never_has_are_warnings(private: Path) -> None:
    total = shutil.disk_usage(private).total

    found = bad(look_at_disk(plain(private, high_bytes=2 * total, low_bytes=1, free_bytes=2 * total)))

    assert found == {"retention.high_bytes": Verdict.WARN, "retention.free_bytes": Verdict.WARN}


def test_a_slow_flush_is_a_warning(private: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk, "_SLOW_SECONDS", 0.0)

    assert bad(look_at_disk(plain(private))) == {"data": Verdict.WARN}
