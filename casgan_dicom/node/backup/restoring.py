"""A data folder, made of a backup: checked before anything is written, and file by file while it is.

A mark lies in the folder until the last file is on the disk. A node does not start over it, and another try
begins anew.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from casgan_dicom.disk import sync_file, sync_folder, sync_folders, write_whole
from casgan_dicom.errors import ConfigError, OutputError
from casgan_dicom.node.backup.manifest import DATA, Card, Listed, listed_in, read_card
from casgan_dicom.node.state.layout import Layout
from casgan_dicom.node.state.private import make_private, new_private_file, private_folder

_PIECE = 1 << 20
_OTHER_BACKUP = "the backup is damaged: use another one"


def restore(folder: Path, layout: Layout) -> Card:
    """Make a data folder of a backup; what the backup is.

    Parameters
    ----------
    folder
        The backup.
    layout
        The data folder: empty, or not there, or left behind by a try that did not come to its end.

    Raises
    ------
    ConfigError
        It is no whole backup, of another data folder, damaged, or there is something in the way.
    OutputError
        It cannot be written.
    """
    card = read_card(folder)
    if card.data != str(layout.data.absolute()):
        raise ConfigError(
            f"{folder}: backup of the data folder {card.data}, and `data` is {layout.data.absolute()}",
            hint="its databases hold paths: restore to the same path, on whatever machine",
        )
    _check(folder)
    with _writing(layout):
        _clear(layout)
        write_whole(layout.restoring, b"")
        for listed in listed_in(folder):
            _bring(folder, listed, layout)
        sync_folders(layout.data)
        layout.restoring.unlink()
        sync_folder(layout.data)
    return card


def _check(folder: Path) -> None:
    """Read every file of a backup. Raises ConfigError that names the first which is not as it was."""
    for listed in listed_in(folder):
        path = folder / DATA / listed.path
        try:
            with path.open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise ConfigError(f"{path}: cannot be read ({error.strerror})", hint=_OTHER_BACKUP) from error
        if found != listed.sha256:
            raise ConfigError(f"{path}: is not what the backup says", hint=_OTHER_BACKUP)


def _clear(layout: Layout) -> None:
    """See that the data folder is there and empty. Raises ConfigError, OSError."""
    make_private(layout.data)
    begun = layout.restoring.exists()
    for path in layout.data.iterdir():
        if not begun:
            raise ConfigError(
                f"data folder {layout.data}: is not empty",
                hint="move what is there away: a backup is only restored into an empty folder",
            )
        if path == layout.restoring:
            continue
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def _bring(folder: Path, listed: Listed, layout: Layout) -> None:
    """Copy a file into its place. Raises OSError."""
    target = layout.data / listed.path
    private_folder(target.parent, layout.data)
    with (folder / DATA / listed.path).open("rb") as source, new_private_file(target) as copy:
        shutil.copyfileobj(source, copy, _PIECE)
        sync_file(copy)


@contextmanager
def _writing(layout: Layout) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OutputError(
            f"data folder {layout.data}: cannot be written ({error.strerror})",
            hint="make room, then restore again: it begins anew",
        ) from error
