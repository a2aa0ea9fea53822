"""What of an audit trail is to be sent next: whole lines of the chain, in their order."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from casgan_dicom.node.state.audit_chain import START, Chained, Link, read_line
from casgan_dicom.node.state.audit_file import held_files, last_link

_HEAD_BYTES = 65536
"""Of a file, in which its first line is looked for; a file of an older version is read on."""


@dataclass(frozen=True)
class Batch:
    """Some lines of a trail."""

    lines: tuple[bytes, ...]
    """What they hold, without line feeds; none where all was sent."""
    last: Link
    """The last of them; that which was sent last where there are none."""
    lost: int = 0
    """Lines between what was sent and the first of them: their file is gone."""
    is_anew: bool = False
    """Whether the trail does not hold what was sent last: it is another one."""


def next_batch(path: Path, sent: Link, most_bytes: int) -> Batch:
    """The lines behind that which was sent last, one at least if there is any. Raises OSError."""
    with held_files(path) as files:
        handles = [handle for _, handle in files]
        if handles and last_link(handles[-1]) == sent:  # as most of the time
            return Batch((), sent)
        firsts = [_first(handle) for handle in handles]
        begin = _begin(firsts, sent)
        for number, handle in enumerate(handles[begin:]):
            taken, is_anew = _taken(_lines(_content(handle)), sent, most_bytes)
            if is_anew and not number:
                return Batch((), START, is_anew=True)
            if taken:
                lost = taken[0].link.seq - sent.seq - 1
                return Batch(tuple(line.content for line in taken), taken[-1].link, lost)
    return Batch((), sent)


def before_oldest(path: Path) -> Link:
    """What stands before the oldest line that is kept; its digest is unknown. Raises OSError."""
    with held_files(path) as files:
        firsts = (_first(handle) for _, handle in files)
        first = next((line for line in firsts if line is not None), None)
    return START if first is None else Link(first.link.seq - 1, "")


def _begin(firsts: Sequence[Chained | None], sent: Link) -> int:
    """Number of the file that holds the line that was sent last, or begins behind it; else of the oldest."""
    for number in reversed(range(len(firsts))):
        first = firsts[number]
        if first is not None and first.link.seq <= sent.seq + 1:
            return number
    return 0


def _taken(lines: Iterable[Chained], sent: Link, most_bytes: int) -> tuple[list[Chained], bool]:
    """The lines of a file behind that which was sent last; and whether it should be there, and is not."""
    taken: list[Chained] = []
    room, is_passed, is_met = most_bytes, False, not sent.digest
    for line in lines:
        is_met = is_met or line.link == sent
        if line.link.seq <= sent.seq:
            is_passed = True
            continue
        room -= len(line.content)
        if taken and room < 0:
            break
        taken.append(line)
    return taken, is_passed and not is_met


def _first(handle: int) -> Chained | None:
    found = next(_lines(os.pread(handle, _HEAD_BYTES, 0)), None)
    return found if found is not None else next(_lines(_content(handle)), None)


def _content(handle: int) -> bytes:
    return os.pread(handle, os.fstat(handle).st_size, 0)


def _lines(content: bytes) -> Iterator[Chained]:
    """The lines of a chain, each with its line feed: a piece at the end was cut off."""
    begin = 0
    while (end := content.find(b"\n", begin)) >= 0:
        if (line := read_line(content[begin:end])) is not None:
            yield line
        begin = end + 1
