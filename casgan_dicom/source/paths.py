"""The files and folders that a caller names: one or many, as text or as paths."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from casgan_dicom.errors import ConfigError, SeriesError
from casgan_dicom.source.header import unreadable

OnePath = str | Path
"""A file or folder."""
Paths = OnePath | Iterable[OnePath]
"""One file or folder, or several; a text is one, never its letters."""

_WANTED = "pass a file, a folder, or several of them; '.' is the current folder"


def as_path(path: OnePath) -> Path:
    """Bring one file or folder that a caller names into one form.

    Raises ConfigError if that is no path, or an empty text, which would be the current folder.
    """
    if not isinstance(path, str | os.PathLike):
        raise ConfigError(f"a path is {path!r}, want a text or a Path")
    if path == "":
        raise ConfigError("a path is an empty text", hint=_WANTED)
    return Path(path)


def as_paths(paths: Paths) -> tuple[Path, ...]:
    """Bring what a caller names into one form, in its order.

    Raises ConfigError if that is nothing: no path at all, or one that `as_path` refuses.
    """
    given = [paths] if isinstance(paths, str | os.PathLike) else list(paths)
    if not given:
        raise ConfigError("no file or folder was given", hint=_WANTED)
    return tuple(as_path(path) for path in given)


def files_below(top: Path, on_error: Callable[[OSError], None] | None = None) -> list[Path]:
    """Every name below a folder that is no folder, sorted.

    Links to folders are followed, but no folder is searched twice: a link may lead in a circle. `on_error` is
    told of folders that cannot be searched; without it they are left out.
    """
    found: list[Path] = []
    searched = {os.path.realpath(top)}
    for folder, folders, names in os.walk(top, onerror=on_error, followlinks=True):
        found += [Path(folder) / name for name in names]
        left = []
        for name in sorted(folders):
            real = os.path.realpath(Path(folder) / name)
            if real not in searched:
                searched.add(real)
                left.append(name)
        folders[:] = left
    return sorted(found)


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
