"""The chain of an audit trail: each line has a number, the digest of the one before, and its own. Pure.

    <85>1 TIME HOST APP PID DICOM+RFC3881 [chain@32473 seq="7" before="…" by="sha256" digest="…"] MESSAGE

That is structured data of RFC 5424 6.3, so that a line that was sent elsewhere proves itself there too. A
digest is that of the whole line, without its line feed and with nothing between the quotes of ``digest``;
``before`` is the digest that the line before states. With a key it is an HMAC (``hmac-sha256``).

A writer that is killed leaves a piece of a line. Who writes next ends it with `CUT` and states in its own
line, as ``torn``, how long all is that lies between, and its SHA-256: such a place is no break.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass

CUT = b"\x1a"
"""Ends a piece of a line whose writer was killed; stands in no line of ours, nor in XML."""
_ENTERPRISE = 32473
"""The number for examples (RFC 5612): we have none of our own."""
_KINDS = ("sha256", "hmac-sha256")
_LINE = re.compile(
    rb"<\d{1,3}>1 [!-~]+ [!-~]+ [!-~]+ [!-~]+ [!-~]+ "
    rb'\[chain@32473 seq="(?P<seq>[1-9]\d{0,17})" before="(?P<before>[0-9a-f]{64}|)"'
    rb'(?: torn="(?P<torn>\d{1,18}:[0-9a-f]{64})")? by="(?P<by>sha256|hmac-sha256)"'
    rb' digest="(?P<digest>[0-9a-f]{64})"\] '
)


@dataclass(frozen=True)
class Link:
    """Where a chain stands: what the next line is chained to."""

    seq: int
    """Number of the line; 0 before the first."""
    digest: str
    """Its digest, as it states it; empty before the first."""

    def __str__(self) -> str:
        return f"{self.seq}:{self.digest}"


START = Link(0, "")
"""Before the first line of a trail."""


@dataclass(frozen=True)
class Chained:
    """A line of a chain, as it says itself."""

    link: Link
    """Its number and digest."""
    before: str
    """Digest of the line before it."""
    torn: str
    """Length and SHA-256 of what lies between, as `torn_mark` has them; empty for nothing."""
    is_keyed: bool
    """Whether its digest was made with a key."""
    content: bytes
    """The line, without its line feed."""
    _at: tuple[int, int]

    def holds(self, key: bytes | None) -> bool:
        """Whether its digest is that of what it says; a line that was made with a key needs the same."""
        if self.is_keyed and key is None:
            return False
        begin, end = self._at
        blank = self.content[:begin] + self.content[end:]
        return hmac.compare_digest(_digest(blank, key if self.is_keyed else None), self.link.digest)


def chained(
    before: Link, header: str, message: str, *, torn: bytes | None = None, key: bytes | None = None
) -> bytes:
    """Make a line that goes on from another, without its line feed.

    Parameters
    ----------
    before
        The line before it.
    header
        Of RFC 5424, from PRI to MSGID.
    message
        What it says, in one line.
    torn
        What lies between the two; None for nothing.
    key
        Of the chain, if it has one.
    """
    mark = "" if torn is None else f' torn="{torn_mark(torn)}"'
    data = f'chain@{_ENTERPRISE} seq="{before.seq + 1}" before="{before.digest}"{mark}'
    head = f'{header} [{data} by="{_KINDS[key is not None]}" digest="'.encode()
    tail = f'"] {message}'.encode()
    return head + _digest(head + tail, key).encode("ascii") + tail


def read_line(line: bytes) -> Chained | None:
    """Read a line, without its line feed; None where it is none of a chain. Nothing is verified."""
    found = _LINE.match(line)
    if found is None or line.endswith(CUT):
        return None
    return Chained(
        link=Link(int(found["seq"]), found["digest"].decode("ascii")),
        before=found["before"].decode("ascii"),
        torn=(found["torn"] or b"").decode("ascii"),
        is_keyed=found["by"] == b"hmac-sha256",
        content=line,
        _at=found.span("digest"),
    )


def torn_mark(torn: bytes) -> str:
    """How a line names what lies before it."""
    return f"{len(torn)}:{hashlib.sha256(torn).hexdigest()}"


def _digest(content: bytes, key: bytes | None) -> str:
    if key is None:
        return hashlib.sha256(content).hexdigest()
    return hmac.new(key, content, "sha256").hexdigest()
