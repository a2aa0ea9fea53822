"""Store over the web, STOW-RS (PS3.18 10.5): files of several instances in one request, as they are.

A request holds few enough objects and bytes to be repeated, and is read from the disk while it is sent. The
answer for each object is written down before the next request; sent twice, an object is the same one, by its
UID. An object whose transfer syntax the server does not take is sent in another one with the same values, and
a request that is too long for it is cut in two.
"""

from __future__ import annotations

import errno
import secrets
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from time import time

from pydicom.uid import UID

from casgan_dicom.errors import PeerError, SeriesError
from casgan_dicom.node.client.outgoing import Outgoing, read_outgoing, reading
from casgan_dicom.node.client.pace import Pace
from casgan_dicom.node.client.reencoding import reencoded, ways
from casgan_dicom.node.client.results import StoreResult
from casgan_dicom.node.client.stow_answer import SYNTAX_NOT_SUPPORTED, Said, failed, read_answer
from casgan_dicom.node.client.web import ASK, Answer, Web, refusal
from casgan_dicom.node.client.web_session import Session, opened

_ANSWERS = (200, 202, 400, 409)
"""Statuses of HTTP whose content says what became of each instance (PS3.18 table 10.5.3-1)."""
_NOT_ACCEPTABLE, _TOO_LONG, _WRONG_KIND = 406, 413, 415
_JSON, _XML = "application/dicom+json", "application/dicom+xml"
"""What an answer may be; asked for one by one, since servers are there that know no list."""
_PIECE_BYTES = 256 * 1024
_BREAK = b"\r\n"
_NOT_NAMED = Said("no-answer", None, "the answer does not name it")


@dataclass(frozen=True)
class Stow:
    """A destination that takes STOW-RS."""

    web: Web
    """Where requests go."""
    most_instances: int
    """In one request."""
    most_bytes: int
    """In one request; a longer object goes alone."""
    syntaxes: tuple[UID, ...] = ()
    """The only transfer syntaxes to send; none for any."""
    pace: Pace | None = None
    """How fast; None for as fast as it goes."""

    def store(self, files: Sequence[Path], on_result: Callable[[StoreResult], None]) -> None:
        """Store files; see `Destination`."""
        outgoing = read_outgoing(files)
        if not outgoing:
            return
        with opened(self.web) as session:
            _Delivery(self, session, on_result).send(outgoing)


@dataclass(frozen=True)
class _Item:
    """An instance that is to be sent."""

    instance: Outgoing
    """What it is."""
    ways: tuple[UID, ...]
    """The transfer syntaxes that it may be sent in, the next first: at least one."""
    length: int
    """Bytes of its file."""

    @property
    def uid(self) -> str:
        """SOP Instance UID (0008,0018)."""
        return str(self.instance.sop_instance_uid)

    @property
    def is_as_it_is(self) -> bool:
        """Whether its file is sent, and not another encoding of it."""
        return self.ways[0] == self.instance.transfer_syntax


class _Delivery:
    """Instances on their way to one service."""

    def __init__(self, stow: Stow, session: Session, on_result: Callable[[StoreResult], None]) -> None:
        self._stow = stow
        self._session = session
        self._on_result = on_result
        self._most = stow.most_instances
        self._accept = _JSON

    def send(self, outgoing: Sequence[Outgoing]) -> None:
        """Send all of them; PeerError where the service as a whole does not work."""
        waiting = deque(self._item(each) for each in outgoing)
        while waiting:
            waiting.extendleft(reversed(self._send(self._next(waiting))))

    def _item(self, instance: Outgoing) -> _Item:
        found = ways(instance.transfer_syntax, self._stow.syntaxes)
        if not found:
            raise SeriesError(f"{instance.path}: cannot be sent in any transfer syntax of `syntaxes`")
        return _Item(instance, found, _length(instance.path))

    def _next(self, waiting: deque[_Item]) -> list[_Item]:
        """Take the next few, of one transfer syntax; one that has to be written anew goes alone."""
        batch = [waiting.popleft()]
        total = batch[0].length
        while waiting and batch[0].is_as_it_is and len(batch) < self._most:
            following = waiting[0]
            total += following.length
            fits = total <= self._stow.most_bytes and following.is_as_it_is
            if not fits or following.ways[0] != batch[0].ways[0]:
                break
            batch.append(waiting.popleft())
        return batch

    def _send(self, batch: Sequence[_Item]) -> list[_Item]:
        """Send a request and tell what came of it; returns what is to be sent again, in another way."""
        answer = self._post(batch)
        if answer.status == _TOO_LONG and len(batch) > 1:
            self._most = len(batch) // 2
            return list(batch)
        if answer.status == _NOT_ACCEPTABLE and self._accept == _JSON:
            self._accept = _XML
            return list(batch)
        said, again = self._said(answer, batch), []
        for item in batch:
            found = said.get(item.uid, _NOT_NAMED)
            if found.status == SYNTAX_NOT_SUPPORTED and len(item.ways) > 1:
                again.append(replace(item, ways=item.ways[1:]))
            else:
                self._tell(item, found)
        return again

    def _post(self, batch: Sequence[_Item]) -> Answer:
        with ExitStack() as stack:
            body = _Body([_file(item, stack) for item in batch], self._stow.pace)
            try:
                return self._session.post({"Accept": self._accept, **body.headers}, body.length, body)
            except PeerError as error:
                for item in batch if body.is_begun else ():
                    self._tell(item, Said("no-answer", None, error.message))
                raise

    def _said(self, answer: Answer, batch: Sequence[_Item]) -> Mapping[str, Said]:
        """What an answer says of each instance; PeerError if it is about all that could be sent."""
        if answer.status == _TOO_LONG:
            reason = f"{batch[0].length} bytes are too long for {self._stow.web} ({answer.status})"
            return {batch[0].uid: Said("refused", None, reason)}
        if answer.status == _WRONG_KIND:
            return {item.uid: failed(SYNTAX_NOT_SUPPORTED) for item in batch}
        if answer.status not in _ANSWERS:
            raise refusal(self._stow.web, answer, time())
        try:
            return read_answer(answer)
        except ValueError as error:
            if answer.status >= 400:
                raise refusal(self._stow.web, answer, time()) from None
            raise PeerError(
                f"{self._stow.web} answers {answer.status}, but its answer {error}: nothing counts as stored",
                hint=ASK,
            ) from None

    def _tell(self, item: _Item, said: Said) -> None:
        self._on_result(StoreResult(item.instance.path, item.uid, said.status, said.outcome, said.reason))


class _Body:
    """The files of a request, as parts of a body (RFC 2046 5.1), read while it is sent."""

    def __init__(self, paths: Sequence[Path], pace: Pace | None) -> None:
        self._boundary = secrets.token_hex(16)
        self._files = [(path, _length(path)) for path in paths]
        self._pace = pace
        self.is_begun = False
        """Whether any of it may have been sent."""

    @property
    def headers(self) -> Mapping[str, str]:
        """What the request has to say of it."""
        kind = f'multipart/related; type="application/dicom"; boundary={self._boundary}'
        return {"Content-Type": kind}

    @property
    def length(self) -> int:
        """In bytes."""
        parts = sum(len(self._head) + length + len(_BREAK) for _, length in self._files)
        return parts + len(self._end)

    @property
    def _head(self) -> bytes:
        return f"--{self._boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode("ascii")

    @property
    def _end(self) -> bytes:
        return f"--{self._boundary}--\r\n".encode("ascii")

    def __iter__(self) -> Iterator[bytes]:
        """Read it piece by piece; SeriesError where a file is not what it was."""
        self.is_begun = True
        for path, length in self._files:
            yield self._head
            yield from self._content(path, length)
            yield _BREAK
        yield self._end

    def _content(self, path: Path, length: int) -> Iterator[bytes]:
        with reading(path), path.open("rb") as file:
            while length:
                most = min(length, _PIECE_BYTES)
                piece = file.read(self._pace.take(most) if self._pace else most)
                if not piece:
                    raise OSError(errno.EIO, "it has become shorter")
                length -= len(piece)
                yield piece


def _file(item: _Item, stack: ExitStack) -> Path:
    """The file to send: that of the instance, or another encoding of it for as long as `stack` is open."""
    if item.is_as_it_is:
        return item.instance.path
    return stack.enter_context(reencoded(item.instance.path, item.ways[0]))


def _length(path: Path) -> int:
    with reading(path):
        return path.stat().st_size
