"""Is the chain of an audit trail whole? Pure: it is told the lines, file by file, the oldest first.

Whole means: each line states its own digest and that of the line before, and their numbers run on without a
gap. Older files may be gone, they are not kept for ever: the first line of the chain may have any number.
What an older version wrote before the first line has no chain. A piece of a line that a killed writer left
counts as a break unless the next line says what it was.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from casgan_dicom.node.state.audit_chain import CUT, START, Chained, Link, read_line, torn_mark


@dataclass(frozen=True)
class Place:
    """A line of a trail."""

    file: str
    """Name of its file."""
    line: int
    """Its number in the file, from 1."""


@dataclass(frozen=True)
class Break:
    """A place where a chain does not hold."""

    place: Place
    """The first line that does not fit."""
    reason: str
    """What is wrong."""


@dataclass(frozen=True)
class Checked:
    """What a check has found."""

    first: int
    """Number of the first line of the chain; 0 if there is none."""
    head: Link
    """The last line."""
    lines: int
    """Lines of the chain."""
    unchained: int
    """Lines before the chain began."""
    keyed: int
    """Lines whose digest needs the key."""
    torn: tuple[Place, ...]
    """Lines that say that a writer was killed before them."""
    unfinished: bool
    """Whether the last writer was killed in the middle of its line, and nobody has written since."""
    breaks: tuple[Break, ...]
    """Where it is broken; none if it is whole."""


Line = tuple[Place, bytes, bool]
"""Where a line is, what it holds without its line feed, and whether it has one."""


def lines_of(name: str, content: bytes) -> Iterator[Line]:
    """The lines of a file."""
    *whole, piece = content.split(b"\n")
    for number, line in enumerate(whole, 1):
        yield Place(name, number), line, True
    if piece:
        yield Place(name, len(whole) + 1), piece, False


def check(lines: Iterable[Line], key: bytes | None = None, noted: Iterable[Link] = ()) -> Checked:
    """Check a trail.

    Parameters
    ----------
    lines
        Of all of its files, the oldest file first.
    key
        Of the chain; None where it has none.
    noted
        Lines that were noted elsewhere, by number and digest: the trail has to hold them, unless older ones
        than it begins with.
    """
    checking = _Checking(key, {link.seq: link for link in noted})
    for line in lines:
        checking.take(*line)
    return checking.end()


@dataclass
class _Checking:
    """A check under way."""

    key: bytes | None
    noted: dict[int, Link]
    first: int = 0
    last: Chained | None = None
    lines: int = 0
    unchained: int = 0
    keyed: int = 0
    torn: list[Place] = field(default_factory=list)
    breaks: list[Break] = field(default_factory=list)
    _pieces: list[tuple[Place, bytes]] = field(default_factory=list)
    _is_whole: bool = True
    _place: Place = Place("", 0)

    def take(self, place: Place, content: bytes, is_whole: bool) -> None:
        """Look at the next line."""
        self._place, self._is_whole = place, is_whole
        chained = read_line(content)
        if chained is None and self.last is None:
            self.unchained += 1
        elif chained is None or not (is_whole or chained.holds(self.key)):
            self._pieces.append((place, content))
        else:
            self._follow(place, chained)

    def _follow(self, place: Place, line: Chained) -> None:
        found = [*self._before(place, line), *self._of_line(line), *self._of_numbers(line)]
        self.breaks += [each if isinstance(each, Break) else Break(place, each) for each in found]
        self.first, self.last = self.first or line.link.seq, line
        self.lines += 1
        self.keyed += line.is_keyed
        self._pieces = []

    def _before(self, place: Place, line: Chained) -> Iterator[Break | str]:
        """What lies between this line and the one before."""
        if self._pieces:
            between = b"\n".join(content for _, content in self._pieces)
            if line.torn != torn_mark(between) or not all(each.endswith(CUT) for _, each in self._pieces):
                yield Break(self._pieces[0][0], "is no line of the chain")
                return
        elif line.torn and self.last is not None:
            yield "says that a piece of a line lies before it, and there is none"
            return
        if line.torn:
            self.torn.append(place)

    def _of_line(self, line: Chained) -> Iterator[str]:
        if line.is_keyed and self.key is None:
            yield "needs the key of the chain"
        elif not line.holds(self.key):
            yield "was changed" if not line.is_keyed else "was changed, or made with another key"
        if self.keyed and not line.is_keyed:
            yield "was made without the key, after lines that were made with it"
        noted = self.noted.get(line.link.seq)
        if noted is not None and noted != line.link:
            yield f"is not the line {line.link.seq} that was noted"

    def _of_numbers(self, line: Chained) -> Iterator[str]:
        before, seq = START if self.last is None else self.last.link, line.link.seq
        if self.last is None and not self.unchained:
            return  # older files are gone
        if seq > before.seq + 1:
            missing = seq - before.seq - 1
            yield f"{missing} {'line is' if missing == 1 else 'lines are'} missing before it"
        elif seq != before.seq + 1:
            yield f"has the number {seq}, want {before.seq + 1}"
        elif line.before != before.digest:
            yield "does not go on from the line before it"

    def end(self) -> Checked:
        """What was found."""
        unfinished = bool(self._pieces) and not self._is_whole
        rest = self._pieces[:-1] if unfinished else self._pieces
        loose = [each for each in rest if not each[1].endswith(CUT)]
        if loose:
            self.breaks.append(Break(loose[0][0], "is no line of the chain"))
        head = START if self.last is None else self.last.link
        if missing := [seq for seq in self.noted if seq > head.seq]:
            text = f"the trail ends at {head.seq}, but line {max(missing)} was noted: the end is missing"
            self.breaks.append(Break(self._place, text))
        return Checked(
            first=self.first,
            head=head,
            lines=self.lines,
            unchained=self.unchained,
            keyed=self.keyed,
            torn=tuple(self.torn),
            unfinished=unfinished or bool(rest and not loose),
            breaks=tuple(self.breaks),
        )
