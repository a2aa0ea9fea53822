"""The client: sends files with C-STORE and asks with C-ECHO. One association for each call, or a few.

A file goes out as it lies on the disk, so its Pixel Data (7FE0,0010) arrives bit for bit, and is read piece
by piece, never loaded. Only where the peer does not take its transfer syntax is it sent in another one, with
the same values (``reencoding.py``). Neither errors nor results hold
patient data, nor does anything that the peer said in words.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from threading import Lock

from pydicom.uid import UID, ImplicitVRLittleEndian
from pynetdicom.dsutils import split_dataset
from pynetdicom.presentation import PresentationContext, build_context

from casgan_dicom.errors import PeerError, SeriesError
from casgan_dicom.node.client.answers import Asked
from casgan_dicom.node.client.association import Connection, connected, released
from casgan_dicom.node.client.exchange import StoreRequest
from casgan_dicom.node.client.line import SocketOptions
from casgan_dicom.node.client.outgoing import Outgoing, read_outgoing, reading
from casgan_dicom.node.client.peer import Peer, not_accepted
from casgan_dicom.node.client.reencoding import reencoded, ways
from casgan_dicom.node.client.results import StoreResult, classify, in_words
from casgan_dicom.node.dimse import C_ECHO_RQ, C_STORE_RQ

_VERIFICATION = UID("1.2.840.10008.1.1")
_MOST_CONTEXTS = 128
"""Presentation contexts of an association: numbered with the odd values of a byte (PS3.8 9.3.2.2)."""
_MOST_MESSAGES = 65535
"""Message ID (0000,0110) is a US."""
FEWEST_FILES = 8
"""Another association is worth its beginning and end if it sends so many files."""


def store(
    peer: Peer,
    files: Sequence[Path],
    on_result: Callable[[StoreResult], None],
    *,
    options: SocketOptions = SocketOptions(),  # noqa: B008  # frozen
    associations: int = 1,
    syntaxes: Sequence[UID] = (),
) -> None:
    """Send files: in one association in their order, in several as each comes to its turn.

    Parameters
    ----------
    peer
        Where to.
    files
        DICOM files. Nothing happens if there are none.
    on_result
        Called after each response, before the next request of its association, so that it can be written
        down; for the request that was under way when an association broke too (``no-answer``). Never from
        two threads at once.
    options
        Of the TCP connection.
    associations
        At most so many at a time, fewer where each would have less than `FEWEST_FILES` to send, or where the
        peer lets no more in.
    syntaxes
        The only transfer syntaxes to send; none for any.

    Raises
    ------
    SeriesError
        A file cannot be sent; every one is named, and nothing was sent. Or one vanished meanwhile.
    PeerError
        No association, or one broke; or the peer does not accept some of the files, in which case all others
        have been sent. What has no result was not sent.
    """
    outgoing = read_outgoing(files)
    if not outgoing:
        return
    contexts = _contexts(outgoing, syntaxes)
    batch = _Batch(outgoing, on_result, syntaxes)
    more = max(1, min(associations, len(outgoing) // FEWEST_FILES)) - 1
    # The connection ends before the others are waited for: some peers let one in after the other.
    with ThreadPoolExecutor(max(1, more), "store") as pool, connected(peer, contexts, options) as connection:
        helpers = [pool.submit(_help, batch, peer, contexts, options) for _ in range(more)]
        batch.send(connection)
    for helper in helpers:
        helper.result()
    if batch.not_accepted:
        missing = _own_pairs(batch.not_accepted)
        raise not_accepted(peer, [build_context(*pair) for pair in missing])


class _Batch:
    """Files that are to be sent, for all associations that send them."""

    def __init__(
        self,
        outgoing: Sequence[Outgoing],
        on_result: Callable[[StoreResult], None],
        syntaxes: Sequence[UID],
    ) -> None:
        self.not_accepted: list[Outgoing] = []
        """Those that an association came to whose peer takes them in no syntax."""
        self._left = deque(outgoing)  # both ends of it may be used by any thread
        self._on_result = on_result
        self._syntaxes = syntaxes
        self._telling = Lock()

    def send(self, connection: Connection) -> None:
        """Send files until none is left; if this fails, no association begins another one."""
        try:
            for number in count():
                try:
                    instance = self._left.popleft()
                except IndexError:
                    return
                self._send_one(connection, instance, number % _MOST_MESSAGES + 1)
        except BaseException:
            self._left.clear()
            raise

    def _send_one(self, connection: Connection, instance: Outgoing, number: int) -> None:
        way = self._way(connection, instance)
        if way is None:
            self.not_accepted.append(instance)
            return
        syntax, context_id = way
        if syntax == instance.transfer_syntax:
            self._store_one(connection, instance, number, context_id, instance.path)
        else:
            with reencoded(instance.path, syntax) as path:
                self._store_one(connection, instance, number, context_id, path)

    def _way(self, connection: Connection, instance: Outgoing) -> tuple[UID, int] | None:
        """The first transfer syntax of a file that the peer takes, and its context; None if it takes none."""
        for syntax in ways(instance.transfer_syntax, self._syntaxes):
            context_id = connection.context_for(instance.sop_class_uid, syntax)
            if context_id is not None:
                return syntax, context_id
        return None

    def _store_one(
        self, connection: Connection, instance: Outgoing, number: int, context_id: int, path: Path
    ) -> None:
        """Send one object out of a file, and report the response. Raises PeerError where none came."""
        uid = str(instance.sop_instance_uid)
        with reading(instance.path):
            _, offset = split_dataset(path)
            asked = Asked(number, C_STORE_RQ)
            request = StoreRequest(asked, str(instance.sop_class_uid), uid, context_id, offset)
            status = connection.store(request, path)
        if status is None:
            failure = connection.failure(f"instance {uid} was sent")
            self._tell(StoreResult(instance.path, uid, None, "no-answer", failure.message))
            raise failure
        self._tell(StoreResult(instance.path, uid, status, classify(status), in_words(status)))

    def _tell(self, result: StoreResult) -> None:
        with self._telling:
            self._on_result(result)


def _help(batch: _Batch, peer: Peer, contexts: Sequence[PresentationContext], options: SocketOptions) -> None:
    """Send with one more association, if the peer lets it in."""
    helper = Connection(peer, options)
    try:
        helper.open(contexts)
    except PeerError:  # it takes no more of them at a time: the others send everything
        helper.abort()
        return
    with released(helper):
        batch.send(helper)


def echo(peer: Peer, *, options: SocketOptions = SocketOptions()) -> float:  # noqa: B008  # frozen
    """Ask the peer whether it is there (C-ECHO), and return how many seconds that took, connection included.

    Raises
    ------
    PeerError
        It is not, or refuses: the message names what is wrong of host, port, called and calling AE title.
    """
    start = time.perf_counter()
    with connected(peer, [build_context(_VERIFICATION, ImplicitVRLittleEndian)], options) as connection:
        status = connection.request(Asked(1, C_ECHO_RQ), lambda association: association.send_c_echo(1))
        seconds = time.perf_counter() - start
        if status is None:
            raise connection.failure("it was asked for an echo")
        if status:
            raise PeerError(f"{peer} answered C-ECHO with status 0x{status:04X}", hint="its log may say why")
    return seconds


def _contexts(outgoing: Sequence[Outgoing], syntaxes: Sequence[UID]) -> list[PresentationContext]:
    """One presentation context for each pair of SOP class and transfer syntax, in the order of the files.

    Behind these, as far as they fit, one for each transfer syntax that a file may be sent in instead.
    """
    possible = [(sop_class, ways(syntax, syntaxes)) for sop_class, syntax in _own_pairs(outgoing)]
    if not all(found for _, found in possible):
        raise SeriesError(
            f"{outgoing[0].path} or others with it: cannot be sent in any transfer syntax of `syntaxes`"
        )
    first = dict.fromkeys((sop_class, found[0]) for sop_class, found in possible)
    if len(first) > _MOST_CONTEXTS:
        raise SeriesError(
            f"{len(first)} pairs of SOP class and transfer syntax, {_MOST_CONTEXTS} fit into an association",
            hint="send fewer files at a time",
        )
    others = [(sop_class, other) for sop_class, found in possible for other in found[1:]]
    offered = list(dict.fromkeys([*first, *others]))[:_MOST_CONTEXTS]
    return [build_context(sop_class, syntax) for sop_class, syntax in offered]


def _own_pairs(outgoing: Sequence[Outgoing]) -> list[tuple[UID, UID]]:
    """SOP class and transfer syntax of the files as they are, each pair once."""
    return list(dict.fromkeys((each.sop_class_uid, each.transfer_syntax) for each in outgoing))
