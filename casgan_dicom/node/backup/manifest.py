"""What a backup says of itself.

    DIR/backup.json     when, of what, by which version; the digest of the next file
    DIR/files.sha256    a line for each file, as sha256sum writes and checks it
    DIR/data/           the files, as they lie in the data folder

A folder without backup.json is no backup: it comes last, and the whole folder gets its name after that.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from casgan_dicom.disk import file_sha256, write_json
from casgan_dicom.errors import ConfigError

FORMAT = 1
"""Of backups; others are refused."""
CARD, FILES, DATA = "backup.json", "files.sha256", "data"
"""What lies in a backup."""
_LINE = re.compile(r"([0-9a-f]{64})  (.+)\n")


@dataclass(frozen=True)
class Card:
    """What a backup is."""

    format: int
    """See `FORMAT`."""
    version: str
    """Of the program that made it."""
    at: str
    """When the ledger was copied, UTC."""
    data: str
    """The data folder that it is of; the databases hold paths in it."""
    files: int
    """How many there are."""
    bytes: int
    """Their length in all."""
    missing: int
    """Files that the ledger names and that could not be copied, since they were not there."""
    files_sha256: str
    """Digest of the list of files."""


@dataclass(frozen=True)
class Listed:
    """A file of a backup."""

    sha256: str
    """Its digest."""
    path: PurePosixPath
    """Its place in the data folder."""


def line_of(listed: Listed) -> str:
    """The line of a file in the list."""
    return f"{listed.sha256}  {DATA}/{listed.path}\n"


def write_card(folder: Path, card: Card) -> None:
    """Write what a backup is. Raises OSError."""
    write_json(folder / CARD, asdict(card))


def read_card(folder: Path) -> Card:
    """What a backup is; ConfigError where the folder is no whole backup, or one that nobody here knows."""
    hint = "name a folder that `casgan-dicom node backup` has made"
    try:
        told: dict[str, Any] = json.loads((folder / CARD).read_text(encoding="utf-8"))
        card = Card(**told)
        found = file_sha256(folder / FILES)
    except (OSError, ValueError, TypeError) as error:
        said = error.strerror if isinstance(error, OSError) else "it holds something else"
        raise ConfigError(f"{folder}: no whole backup ({said})", hint=hint) from error
    if card.format != FORMAT:
        raise ConfigError(f"{folder}: backup of format {card.format}, this program knows {FORMAT}", hint=hint)
    if found != card.files_sha256:
        raise ConfigError(
            f"{folder}: {FILES} was changed since the backup was made", hint="use another backup"
        )
    return card


def listed_in(folder: Path) -> Iterator[Listed]:
    """The files of a backup. Raises ConfigError for a line that is none, or leads out of the data folder."""
    with (folder / FILES).open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            form = _LINE.fullmatch(line)
            path = PurePosixPath(form[2]) if form else PurePosixPath()
            if form is None or path.is_absolute() or ".." in path.parts or path.parts[:1] != (DATA,):
                raise ConfigError(f"{folder / FILES}: line {number} names no file of a data folder")
            yield Listed(form[1], path.relative_to(DATA))
