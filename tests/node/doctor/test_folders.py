"""Folders that are there and ours to write in, and those that are not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from casgan_dicom.node.doctor.finding import Verdict
from casgan_dicom.node.doctor.folders import look_at_folder, look_at_inbox, look_at_secret
from casgan_dicom.node.settings import DestinationSettings, InboxSettings, NodeSettings
from tests.node.doctor.looking import bad

not_root = pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")


def with_folder(folder: Path) -> NodeSettings:
    """A node whose second destination, and second inbox, is a folder."""
    place = DestinationSettings("share", kind="folder", folder=folder)
    inboxes = (InboxSettings("/elsewhere"), InboxSettings(str(folder)))
    return NodeSettings(destinations=(DestinationSettings("pacs"), place), inboxes=inboxes)


def test_a_folder_that_can_be_written_to_is_well_and_stays_empty(tmp_path: Path) -> None:
    settings = with_folder(tmp_path)

    assert bad(look_at_folder(settings, 2)) == bad(look_at_inbox(settings, 2)) == {}
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_a_failure_and_is_not_made(tmp_path: Path) -> None:
    settings = with_folder(tmp_path / "mount")

    assert bad(look_at_folder(settings, 2)) == {"destinations#2.folder": Verdict.FAIL}
    assert bad(look_at_inbox(settings, 2)) == {"inboxes#2.path": Verdict.FAIL}
    assert list(tmp_path.iterdir()) == []


def test_a_file_system_that_takes_no_files_is_a_failure() -> None:
    """Root, too, cannot make a file in /proc."""
    settings = with_folder(Path("/proc/self"))

    assert bad(look_at_folder(settings, 2)) == {"destinations#2.folder": Verdict.FAIL}
    assert bad(look_at_inbox(settings, 2)) == {"inboxes#2.path": Verdict.FAIL}


@not_root
@pytest.mark.parametrize("mode", [0o500, 0o300])
def test_a_folder_that_may_not_be_read_or_written_is_a_failure(tmp_path: Path, mode: int) -> None:
    folder = tmp_path / "box"
    folder.mkdir(mode=mode)

    assert bad(look_at_inbox(with_folder(folder), 2)) == {"inboxes#2.path": Verdict.FAIL}


def test_a_secret_is_there_and_not_for_everybody(tmp_path: Path) -> None:
    path = tmp_path / "tokens"
    assert bad(look_at_secret("web.tokens_file", path)) == {"web.tokens_file": Verdict.FAIL}

    path.write_text("CT1 secret\n")
    path.chmod(0o644)
    assert bad(look_at_secret("web.tokens_file", path)) == {"web.tokens_file": Verdict.FAIL}

    path.chmod(0o640)
    assert bad(look_at_secret("web.tokens_file", path)) == {}
