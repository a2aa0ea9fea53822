"""Compiled networks, kept from one start to the next in the user's cache folder.

One file for each network: named by the SHA-256 of all that it depends on, and holding::

    SHA-256 of what follows, 64 hexadecimal digits and a line end
    the compiled network, as the engine gave it

Nothing else is believed of a file: one that is damaged, cut short or of other facts is not used and goes. Nor
is a folder read that others may write to, since the engine takes what it reads for its own. Whatever fails
here costs time and nothing else: the network is compiled as if there were no cache.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import platformdirs

from casgan_dicom.disk import is_part, write_whole

FOLDER = "compiled"
"""In the cache folder."""
MOST_BYTES = 512 * 2**20
"""Of all files together; those that were used longest ago go first."""
OFF = "no"
"""What `CASGAN_CACHE` says where nothing is to be kept."""
_LEFT_AFTER_S = 3600.0
"""Age of a file that was never finished, from which nobody can still be writing it."""
_DIGEST_BYTES = 65
"""64 digits and the line end."""
_OTHERS = 0o022
"""Permission of others to write."""


def cache_folder() -> Path | None:
    """Where compiled networks are kept: in ``CASGAN_CACHE``, else in the user's cache folder.

    None where ``CASGAN_CACHE`` is "no".
    """
    named = os.environ.get("CASGAN_CACHE", "")
    if named == OFF:
        return None
    return Path(named or platformdirs.user_cache_dir("casgan-dicom")) / FOLDER


def kept(facts: Mapping[str, object]) -> bytes | None:
    """The compiled network that was kept for these facts; None where there is none, or it is damaged."""
    path = _path(facts)
    if path is None or not _is_ours(path.parent):
        return None
    try:
        content = path.read_bytes()
    except OSError:
        return None
    compiled = content[_DIGEST_BYTES:]
    with suppress(OSError):
        if content[:_DIGEST_BYTES] == _digest_line(compiled):
            os.utime(path)
            return compiled
        path.unlink(missing_ok=True)
    return None


def keep(facts: Mapping[str, object], compiled: bytes) -> None:
    """Keep a compiled network for these facts, whole or not at all; what was used longest ago goes for it."""
    path = _path(facts)
    if path is None or len(compiled) + _DIGEST_BYTES > MOST_BYTES:
        return
    with suppress(OSError):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if _is_ours(path.parent):
            write_whole(path, _digest_line(compiled) + compiled)
            _make_room(path.parent)


def forget(facts: Mapping[str, object]) -> None:
    """Remove what was kept for these facts: the engine could not take it."""
    path = _path(facts)
    if path is not None:
        with suppress(OSError):
            path.unlink(missing_ok=True)


def _path(facts: Mapping[str, object]) -> Path | None:
    folder = cache_folder()
    told = json.dumps(dict(facts), sort_keys=True).encode()
    return None if folder is None else folder / f"{hashlib.sha256(told).hexdigest()}.compiled"


def _digest_line(compiled: bytes) -> bytes:
    return hashlib.sha256(compiled).hexdigest().encode() + b"\n"


def _is_ours(folder: Path) -> bool:
    """Whether a folder is there, belongs to us, and nobody else may write to it."""
    try:
        found = folder.stat()
    except OSError:
        return False
    return found.st_uid == os.geteuid() and not found.st_mode & _OTHERS


def _make_room(folder: Path) -> None:
    """Remove what lies there beyond `MOST_BYTES`, and what was never finished. Raises OSError."""
    room, now = MOST_BYTES, time.time()
    found = [(path, path.stat()) for path in folder.iterdir() if path.is_file()]
    for path, about in sorted(found, key=lambda each: each[1].st_mtime, reverse=True):
        if is_part(path):
            if now - about.st_mtime > _LEFT_AFTER_S:
                path.unlink(missing_ok=True)
            continue
        room -= about.st_size
        if room < 0 and path.suffix == ".compiled":
            path.unlink(missing_ok=True)
