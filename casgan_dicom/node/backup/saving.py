"""A backup, made while the node runs: whole, or not there.

Nobody may remove files meanwhile, by retention or by hand (``state/removal_lock.py``); all else goes on.
First the workflows are copied, then the ledger, then the files that this ledger names: so the copy looks like
the folder of a node that was killed at the moment of the ledger, which goes on from there. What came in after
that moment is not in it. A conversion that was under way has its objects copied too, as far as they are
written: the workflows may know that they are.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from io import TextIOWrapper
from pathlib import Path, PurePosixPath
from typing import BinaryIO, TextIO

from casgan_dicom import __version__
from casgan_dicom.disk import file_sha256, is_part, sync_file, sync_folder, sync_folders
from casgan_dicom.errors import ConfigError, OutputError
from casgan_dicom.node.backup.manifest import DATA, FILES, FORMAT, Card, Listed, line_of, write_card
from casgan_dicom.node.proof.disk import place_of
from casgan_dicom.node.state.backup import close_copy, copy_database
from casgan_dicom.node.state.evidence import Evidence
from casgan_dicom.node.state.layout import Layout
from casgan_dicom.node.state.ledger import Ledger
from casgan_dicom.node.state.private import new_private_file, private_folder
from casgan_dicom.node.state.removal_lock import removals_to_myself

_PIECE = 1 << 20


def back_up(layout: Layout, folder: Path, *, link: bool = False) -> Card:
    """Make a backup of a data folder; what it is.

    Parameters
    ----------
    layout
        The data folder.
    folder
        Where it shall be; must not be there, or be empty.
    link
        Share files with the data folder where both lie on one file system, instead of a copy.

    Raises
    ------
    ConfigError
        There is no node's data, or something in `folder`.
    OutputError
        It cannot be written.
    """
    if not layout.ledger.is_file():
        raise ConfigError(f"{layout.data}: no node has run on this data folder")
    if folder.absolute().is_relative_to(layout.data.absolute()):
        raise ConfigError(f"{folder}: lies in the data folder", hint="name one on another disk")
    folder = folder.absolute()
    part = folder.with_name(f".{folder.name}.{secrets.token_hex(8)}.part")
    try:
        if folder.exists() and any(folder.iterdir()):
            raise ConfigError(f"{folder}: is not empty", hint="name another folder for each backup")
        part.mkdir(mode=0o700, parents=True)
        with removals_to_myself(layout, wait=True):
            card = _Backup(layout, part, link=link).make()
        sync_folders(part)
        write_card(part, card)
        part.rename(folder)  # over an empty one, too
        sync_folder(folder.parent)
    except OSError as error:
        raise OutputError(
            f"{folder}: backup cannot be written ({error.strerror})", hint="name a folder on a disk with room"
        ) from error
    finally:
        with suppress(OSError):
            shutil.rmtree(part)
    return card


@dataclass(frozen=True)
class _Source:
    """A file to copy."""

    path: Path
    """Where it is."""
    place: PurePosixPath
    """Its place in a data folder."""
    is_certain: bool = True
    """It has to be there; else it may go at any moment."""


class _Backup:
    """A backup that is being made."""

    def __init__(self, layout: Layout, part: Path, *, link: bool) -> None:
        self._layout, self._part = layout, part
        self._copy = Layout(part / DATA)
        self._links = link
        self._card = Card(FORMAT, __version__, "", str(layout.data.absolute()), 0, 0, 0, "")

    def make(self) -> Card:
        """Copy everything. Raises OSError."""
        self._copy.data.mkdir(mode=0o700)
        if self._layout.dbos.is_file():
            copy_database(self._layout.dbos, self._copy.dbos)
        copy_database(self._layout.ledger, self._copy.ledger)
        self._card = replace(self._card, at=f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}")
        with new_private_file(self._part / FILES) as file, TextIOWrapper(file, "utf-8") as listed:
            self._files(listed)
            for database in (self._copy.dbos, self._copy.ledger):
                if database.is_file():
                    self._note(listed, Listed(file_sha256(database), PurePosixPath(database.name)), database)
            listed.flush()
            os.fsync(file.fileno())
        return replace(self._card, files_sha256=file_sha256(self._part / FILES))

    def _files(self, listed: TextIO) -> None:
        ledger = Ledger(self._copy.ledger)
        try:
            for source in (*self._others(), *self._named(Evidence(ledger))):
                self._take(source, listed)
        finally:
            ledger.close()
            close_copy(self._copy.ledger)

    def _named(self, evidence: Evidence) -> Iterator[_Source]:
        """The files that the ledger names; reports of jobs, and what those in work have written so far."""
        for wanted in (evidence.received(0.0), evidence.derived(0.0), evidence.quarantined(0.0)):
            for each in wanted:
                yield self._source(place_of(self._layout, each))
        for folder in sorted(self._layout.outbox.glob("*")):
            if evidence.state_of(folder.name) is not None:
                for path in sorted(folder.rglob("*")):
                    if path.is_file() and not is_part(path):
                        yield replace(self._source(path), is_certain=False)

    def _others(self) -> Iterator[_Source]:
        """What lies directly in the data folder, as the audit trail; no databases, locks, pipes, tokens."""
        ours = tuple(
            each.name
            for each in (self._layout.ledger, self._layout.dbos, self._layout.lock, self._layout.page_tokens)
        )
        for path in sorted(self._layout.data.iterdir()):
            if (
                path.is_file()
                and path.name.isprintable()
                and not path.name.startswith(ours)
                and not is_part(path)
            ):
                yield replace(self._source(path), is_certain=False)

    def _source(self, path: Path) -> _Source:
        return _Source(path, PurePosixPath(path.relative_to(self._layout.data)))

    def _take(self, source: _Source, listed: TextIO) -> None:
        target = self._copy.data / source.place
        if target.exists():  # the ledger names it, too
            return
        private_folder(target.parent, self._part)
        try:
            digest = self._taken(source.path, target)
        except FileNotFoundError:
            if source.is_certain:
                self._card = replace(self._card, missing=self._card.missing + 1)
            return
        self._note(listed, Listed(digest, source.place), target)

    def _taken(self, path: Path, target: Path) -> str:
        """Link or copy a file; its digest. Raises OSError."""
        shared = any(path.is_relative_to(room) for room in (self._layout.spool, self._layout.outbox))
        if self._links and shared:  # these are never written to in their place
            with suppress(OSError):  # on another file system
                os.link(path, target)
                return file_sha256(target)
        with path.open("rb") as source, new_private_file(target) as copy:
            fcntl.flock(source, fcntl.LOCK_SH)  # whoever appends a line to it does so under a lock
            digest = _copied(source, copy)
            sync_file(copy)
        return digest

    def _note(self, listed: TextIO, one: Listed, target: Path) -> None:
        listed.write(line_of(one))
        length = target.stat().st_size
        self._card = replace(self._card, files=self._card.files + 1, bytes=self._card.bytes + length)


def _copied(source: BinaryIO, target: BinaryIO) -> str:
    """Copy what a file holds; its digest."""
    digest = hashlib.sha256()
    while piece := source.read(_PIECE):
        digest.update(piece)
        target.write(piece)
    return digest.hexdigest()
