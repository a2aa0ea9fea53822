"""What the node writes is its user's alone, whatever the folder and the umask were before."""

from __future__ import annotations

import os
from pathlib import Path
from stat import S_IMODE

import pytest

from casgan_dicom.errors import ConfigError
from casgan_dicom.node.state.private import make_private, private_file


def mode(path: Path) -> int:
    return S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("before", [None, 0o755, 0o777, 0o750, 0o700], ids=str)
def test_a_data_folder_is_closed_to_others(tmp_path: Path, before: int | None) -> None:
    folder = tmp_path / "node"
    if before is not None:
        folder.mkdir()
        folder.chmod(before)

    make_private(folder)

    assert mode(folder) == 0o700


def test_a_folder_of_somebody_else_that_everybody_may_enter_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tmp_path.chmod(0o755)
    monkeypatch.setattr(os, "geteuid", lambda: tmp_path.stat().st_uid + 1)

    with pytest.raises(ConfigError, match=r"belongs to another user and has mode 0755") as raised:
        make_private(tmp_path)

    assert "chmod o-rwx" in raised.value.hint
    assert mode(tmp_path) == 0o755


def test_a_folder_of_somebody_else_for_a_group_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As volumes of a cluster are: theirs is the group, and nobody else gets in."""
    tmp_path.chmod(0o770)
    monkeypatch.setattr(os, "geteuid", lambda: tmp_path.stat().st_uid + 1)

    make_private(tmp_path)

    assert mode(tmp_path) == 0o770


def test_a_database_that_everybody_could_read_is_closed_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "node.sqlite"
    path.write_bytes(b"what it held")
    path.chmod(0o644)

    private_file(path)

    assert mode(path) == 0o600
    assert path.read_bytes() == b"what it held"
