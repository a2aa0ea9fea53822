"""Folders that results go to, and that files are taken from: there, and ours to write in."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from casgan_dicom.node.client.folder import in_words
from casgan_dicom.node.doctor.finding import Finding, fail, ok
from casgan_dicom.node.settings import NodeSettings


def look_at_folder(settings: NodeSettings, number: int) -> Iterator[Finding]:
    """A destination of kind folder, counted from 1."""
    folder, at = settings.destinations[number - 1].folder, f"destinations#{number}.folder"
    if folder is not None:
        yield _written(at, folder)


def look_at_inbox(settings: NodeSettings, number: int) -> Iterator[Finding]:
    """A folder that is watched, counted from 1: what is taken is deleted there."""
    path, at = Path(settings.inboxes[number - 1].path), f"inboxes#{number}.path"
    if path.is_dir() and not os.access(path, os.R_OK):
        yield fail(
            at, f"{path} may not be read by this user", f"let the node's user in: chmod, or chown '{path}'"
        )
    else:
        yield _written(at, path)


def look_at_secret(at: str, path: Path) -> Iterator[Finding]:
    """A file that holds what nobody else may know."""
    try:
        with path.open("rb") as file:
            file.read(1)
    except OSError as error:
        yield fail(
            at, f"{path} cannot be read ({error.strerror})", "name a file that the node's user can read"
        )
        return
    if path.stat().st_mode & 0o007:
        yield fail(at, f"{path} can be read by everybody", f"chmod o-rwx '{path}'")
    else:
        yield ok(at, f"{path} is there")


def _written(at: str, folder: Path) -> Finding:
    """Whether files can be made in a folder; the one that is tried has no name, so that it cannot stay."""
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"\0")
            file.flush()
            os.fsync(file.fileno())  # some disks say only now that they are full
    except OSError as error:
        said, advice = in_words(error)
        return fail(at, f"{folder} {said}", advice)
    return ok(at, f"{folder} is there and can be written to")
