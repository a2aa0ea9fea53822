"""The order of the system calls of a listener, out of a trace of strace, and what is wrong with it.

For each instance that was answered 0000, in this order, each begun after the one before it had ended:

    fsync     of its file, under the temporary name
    rename    to its place
    fsync     of the folder of its series
    write     of the row that names its place into the log of the ledger (WAL), never before that
    fsync     of that log
    send      of the response

and for the first instance of a series, before the response, mkdir of its folder and then fsync of the spool.

Where the ledger is in PostgreSQL, the row is sent to the server, and in place of the fsync of the log comes
what the server says of the commit.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from tests.node.wire import parse_command

TRACED = "fsync,fdatasync,rename,mkdir,write,pwrite64,sendto"
"""The calls that matter."""

_LINE = re.compile(r"(\d+) +(.*)")
_BEGUN = re.compile(r"(\w+)\((.*) <unfinished \.\.\.>$")
_RESUMED = re.compile(r"<\.\.\. (\w+) resumed>(.*)\) += (-?\d+).*")
_WHOLE = re.compile(r"(\w+)\((.*)\) += (-?\d+).*")
_HANDLE = re.compile(r"\d+<((?:->|[^>])*)>")
_TEXT = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')
_FLUSHES = ("fsync", "fdatasync")


@dataclass(frozen=True)
class Call:
    """One system call that succeeded."""

    name: str
    """Of the call."""
    path: str
    """Of the file that it is about: the first argument, or what its number stands for."""
    content: bytes
    """What it writes or sends; of rename, the new path."""
    begin: int
    """Line of the trace where it began."""
    end: int
    """Line where it returned."""


@dataclass(frozen=True)
class Book:
    """How the calls look that write down an instance."""

    enters: Callable[[Call, bytes], bool]
    """Whether a call writes a row that holds this name."""
    commits: Callable[[Call, Call], bool]
    """Whether a call is the end of the commit of the row of another."""


Answered = Callable[[Sequence["Call"]], Iterator[tuple[str, "Call"]]]


def parse(lines: Iterable[str]) -> list[Call]:
    """Read a trace of ``strace -f -y -xx``, or -yy; calls that failed are left out."""
    calls, begun = [], dict[str, tuple[str, str, int]]()
    for number, line in enumerate(lines):
        if not (match := _LINE.fullmatch(line.rstrip("\n"))):
            continue
        thread, text = match.groups()
        if match := _BEGUN.fullmatch(text):
            begun[thread] = match[1], match[2], number
        elif (match := _RESUMED.fullmatch(text)) and thread in begun:
            name, arguments, begin = begun.pop(thread)
            if int(match[3]) >= 0:
                calls.append(_call(name, arguments + match[2], begin, number))
        elif (match := _WHOLE.fullmatch(text)) and int(match[3]) >= 0:
            calls.append(_call(match[1], match[2], number, number))
    return sorted(calls, key=lambda call: call.end)


def answered(calls: Sequence[Call]) -> Iterator[tuple[str, Call]]:
    """SOP Instance UID and call of each response to a C-STORE request that says 0000."""
    for call in calls:
        if call.name == "sendto" and call.content[:1] == b"\x04":
            values = parse_command(call.content[12:])
            if values.get(0x0100) == b"\x01\x80" and values.get(0x0900) == b"\0\0":
                yield values[0x1000].decode().rstrip("\0"), call


def answered_over_http(calls: Sequence[Call]) -> Iterator[tuple[str, Call]]:
    """SOP Instance UID and call of each instance that a response to a STOW-RS request says is stored."""
    for call in calls:
        if call.name == "sendto" and call.content[:1] == b"{":
            for item in json.loads(call.content).get("00081199", {}).get("Value", ()):
                yield item["00081155"]["Value"][0], call


IN_SQLITE = Book(
    lambda call, name: call.path.endswith("-wal") and name in call.content,
    lambda call, row: _flushes(call, row.path),
)


def in_postgres(port: int) -> Book:
    """A ledger in the server of a port of this machine."""
    return Book(
        lambda call, name: call.name == "sendto" and f":{port}]" in call.path and name in call.content,
        lambda call, row: call.name == "recvfrom" and call.path == row.path and b"COMMIT\0" in call.content,
    )


def violations(calls: Sequence[Call], told: Answered = answered, book: Book = IN_SQLITE) -> list[str]:
    """What is wrong, a line for each instance that was answered too early; `told` finds the answers."""
    found = []
    for sop_uid, response in told(calls):
        if reason := _violation(calls, sop_uid, response, book):
            found.append(f"{sop_uid}: {reason}")
    return found


def _violation(calls: Sequence[Call], sop_uid: str, response: Call, book: Book) -> str:
    """Why a response came too early; empty if it did not."""
    rename = _first(c for c in calls if c.name == "rename" and _name(c.content).startswith(f"{sop_uid}-"))
    if rename is None:
        return "no rename to its place"
    place = PurePosixPath(rename.content.decode())
    flush = _last(c for c in calls if _flushes(c, rename.path) and c.end < rename.begin)
    if flush is None or any(_writes(c, rename.path) and c.end > flush.begin for c in calls):
        return "no fsync of the whole file before the rename"
    folder = _first(c for c in calls if _flushes(c, str(place.parent)) and c.begin > rename.end)
    if folder is None:
        return "no fsync of the folder after the rename"
    rows = [c for c in calls if book.enters(c, place.name.encode())]
    if not rows or rows[0].begin < folder.end:
        return "no row after the fsync of the folder" if not rows else "row before the fsync of the folder"
    commit = _first(c for c in calls if c.begin > rows[0].end and book.commits(c, rows[0]))
    if commit is None or commit.end > response.begin:
        return "response before the fsync of the ledger"
    return _new_folder(calls, place.parent, response)


def _new_folder(calls: Sequence[Call], folder: PurePosixPath, response: Call) -> str:
    """Why the folder of a series may be lost; empty if it may not."""
    made = _first(c for c in calls if c.name == "mkdir" and c.path == str(folder))
    if made is None:
        return ""
    flushed = _first(c for c in calls if _flushes(c, str(folder.parent)) and c.begin > made.end)
    if flushed is None or flushed.end > response.begin:
        return "response before the fsync of the spool"
    return ""


def _call(name: str, arguments: str, begin: int, end: int) -> Call:
    texts = [_bytes(text) for text in _TEXT.findall(arguments)]
    handle = _HANDLE.match(arguments)
    if handle is not None:
        return Call(name, _bytes(handle[1]).decode(), texts[0] if texts else b"", begin, end)
    return Call(name, texts[0].decode(), texts[1] if len(texts) > 1 else b"", begin, end)


def _bytes(text: str) -> bytes:
    """What strace writes as hexadecimal escapes, or as it is."""
    return bytes.fromhex(text.replace("\\x", "")) if text.startswith("\\x") else text.encode()


def _name(path: bytes) -> str:
    return PurePosixPath(path.decode()).name


def _flushes(call: Call, path: str) -> bool:
    return call.name in _FLUSHES and call.path == path


def _writes(call: Call, path: str) -> bool:
    return call.name in ("write", "pwrite64") and call.path == path


def _first(calls: Iterator[Call]) -> Call | None:
    return next(calls, None)


def _last(calls: Iterator[Call]) -> Call | None:
    return max(calls, key=lambda call: call.begin, default=None)
