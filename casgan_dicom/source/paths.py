"""The files and folders that a caller names: one or many, as text or as paths."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from casgan_dicom.errors import ConfigError, SeriesError
from casgan_dicom.source.header import unreadable

OnePath = str | Path
"""A file or folder."""
Paths = OnePath | Iterable[OnePath]
"""One file or folder, or several; a text is one, never its letters."""


def as_paths(paths: Paths) -> tuple[Path, ...]:
    """Bring what a caller names into one form, in its order.

    Raises ConfigError if that is nothing: no path at all, or an empty text, which would be the current
    folder.
    """
    given = [paths] if isinstance(paths, str | os.PathLike) else list(paths)
    if not given or "" in given:
        raise ConfigError(
            "a path is an empty text" if given else "no file or folder was given",
            hint="pass a file, a folder, or several of them; '.' is the current folder",
        )
    return tuple(Path(path) for path in given)


def refuse_unreachable(paths: Sequence[Path]) -> None:
    """Raise SeriesError that names every path which is not there or cannot be looked at."""
    wrong = []
    for path in paths:
        try:
            path.stat()
        except (FileNotFoundError, NotADirectoryError):
            wrong.append(f"{path}: no such file or folder")
        except (OSError, ValueError) as error:
            wrong.append(f"{path}: {unreadable(path, error).reason}")
    if wrong:
        raise SeriesError("; ".join(wrong), hint="check the spelling of the path and the right to read it")
