"""The disk of the data folder: ours, local, with room, and how long it takes to be sure of a file."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from stat import S_IMODE
from statistics import median
from time import perf_counter

from casgan_dicom.node.doctor.finding import Finding, fail, ok, warn
from casgan_dicom.node.settings import NodeSettings
from casgan_dicom.node.state.health import LOW_SPACE

_NETWORK = (
    "nfs",
    "cifs",
    "smb",
    "afs",
    "ceph",
    "gluster",
    "lustre",
    "ocfs2",
    "gfs2",
    "fuse.sshfs",
    "9p",
    "beegfs",
)
"""What kinds of file systems begin with that lie on other machines, or are shared with them."""
_MEMORY = ("tmpfs", "ramfs")
_PASSING = ("overlay", "aufs")
"""Kinds that end with a container."""
_OTHERS = 0o077
_FLUSHES, _PIECE = 20, 4096
_SLOW_SECONDS = 0.05
"""A flush that takes longer holds up a modality that sends single frames: each waits for two of them."""


def look_at_disk(settings: NodeSettings) -> Iterator[Finding]:
    """Everything about the disk of the data folder."""
    there = next(folder for folder in (settings.data, *settings.data.absolute().parents) if folder.exists())
    yield from _of_folder(settings.data, there)
    yield _of_kind(there)
    yield from _of_space(there, settings)
    yield _of_speed(there)


def kind_of(folder: Path) -> str:
    """Kind of the file system that a folder lies on; empty if the system does not tell."""
    best, kind = "", ""
    place = str(folder.resolve())
    try:
        lines = (
            Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape").splitlines()
        )
    except OSError:
        return ""
    for line in lines:
        before, _, after = line.partition(" - ")
        mount = before.split()[4].encode("latin-1", "ignore").decode("unicode_escape")  # a space is \040
        inside = place == mount or place.startswith(mount.rstrip("/") + "/")
        if inside and len(mount) >= len(best):
            best, kind = mount, after.split()[0]
    return kind


def _of_folder(data: Path, there: Path) -> Iterator[Finding]:
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        advice = "run as the user of the node; that must own the folder, or set data to another one"
        yield fail("data", f"{there} may not be written to by this user", advice)
    elif there != data:
        yield ok("data", f"{data} is not there yet: the node makes it in {there}")
    elif (mode := S_IMODE(data.stat().st_mode)) & _OTHERS:
        yield warn("data", f"{data} has mode {mode:04o}, others may enter it", f"chmod 0700 '{data}'")
    else:
        yield ok("data", f"{data} is its user's alone")


def _of_kind(there: Path) -> Finding:
    kind = kind_of(there)
    if kind.startswith(_NETWORK):
        advice = "set data to a folder on a disk of this machine: databases lose data over a network"
        return fail("data", f"{there} is on a file system of a network ({kind})", advice)
    if kind.startswith(_MEMORY):
        return fail(
            "data",
            f"{there} is in memory ({kind})",
            "set data to a folder on a disk: it ends with the machine",
        )
    if kind.startswith(_PASSING):
        return warn(
            "data",
            f"{there} is inside a container ({kind})",
            "mount a volume there: it ends with the container",
        )
    return ok("data", f"{there} is on {kind or 'a file system of unknown kind'}")


def _of_space(there: Path, settings: NodeSettings) -> Iterator[Finding]:
    usage, refused = shutil.disk_usage(there), settings.listener.min_free_bytes
    told = f"{_gib(usage.free)} of {_gib(usage.total)} free, instances are refused below {_gib(refused)}"
    if usage.free < refused:
        yield fail("listener.min_free_bytes", told, "make room, or set data to a larger disk")
    elif usage.free < LOW_SPACE * refused:
        yield warn("listener.min_free_bytes", told, "make room, or let [retention] remove what is delivered")
    else:
        yield ok("listener.min_free_bytes", told)
    high = settings.retention.high_bytes
    if high > usage.total - refused:
        told = (
            f"{_gib(high)} are never reached: instances are refused before, the disk has {_gib(usage.total)}"
        )
        yield warn("retention.high_bytes", told, "set less, or use free_bytes")
    if settings.retention.free_bytes > usage.total:
        told = f"{_gib(settings.retention.free_bytes)} will never be free, the disk has {_gib(usage.total)}"
        yield warn("retention.free_bytes", told, "set less")


def _of_speed(there: Path) -> Finding:
    """How long a flush takes; the file has no name, so that nothing can stay of it."""
    times = []
    try:
        with tempfile.TemporaryFile(dir=there) as file:
            for _ in range(_FLUSHES):
                file.write(bytes(_PIECE))
                file.flush()
                begun = perf_counter()
                os.fsync(file.fileno())
                times.append(perf_counter() - begun)
    except OSError as error:
        return fail(
            "data", f"{there}: nothing can be written ({error.strerror})", "make room, or set data elsewhere"
        )
    told = f"{there}: a flush (fsync) takes {median(times) * 1e3:.1f} ms, at most {max(times) * 1e3:.1f} ms"
    if median(times) > _SLOW_SECONDS:
        return warn(
            "data", told, "each instance waits for it: use a faster disk, or one with a protected cache"
        )
    return ok("data", told)


def _gib(count: int) -> str:
    return f"{count / 2**30:.1f} GiB"
