"""The client: sends files with C-STORE and asks with C-ECHO. One association for each call.

A file goes out as it lies on the disk, in its own transfer syntax or not at all, so its Pixel Data
(7FE0,0010) arrives bit for bit. It is read piece by piece, never loaded. Neither errors nor results hold
patient data, nor does anything that the peer said in words.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydicom.uid import UID, ImplicitVRLittleEndian
from pynetdicom.presentation import PresentationContext, build_context
from pynetdicom.status import STORAGE_SERVICE_CLASS_STATUS

from casgan_dicom.errors import PeerError, SeriesError
from casgan_dicom.node.client.association import Connection, SocketOptions, connected
from casgan_dicom.node.client.outgoing import Outgoing, read_outgoing
from casgan_dicom.node.client.peer import Peer, not_accepted

Outcome = Literal["stored", "warning", "refused-now", "refused", "no-answer"]

_VERIFICATION = UID("1.2.840.10008.1.1")
_MEDIUM_PRIORITY = 0
_MOST_CONTEXTS = 128
"""Presentation contexts of an association: numbered with the odd values of a byte (PS3.8 9.3.2.2)."""
_MOST_MESSAGES = 65535
"""Message ID (0000,0110) is a US."""


@dataclass(frozen=True)
class StoreResult:
    """What the peer answered for one file."""

    path: Path
    """The file."""
    sop_instance_uid: str
    """SOP Instance UID (0008,0018)."""
    status: int | None
    """Status (0000,0900); None where no response came."""
    outcome: Outcome
    """What that means."""
    reason: str
    """In words; empty where it was stored without a word."""

    @property
    def is_stored(self) -> bool:
        """Whether the object is there now, with a warning or without."""
        return self.outcome in ("stored", "warning")


def classify(status: int) -> Outcome:
    """What the status of a C-STORE response means for the object (PS3.4 B.2.3, PS3.7 annex C).

    ``warning`` is stored as well. ``refused-now`` may be stored when it is sent again later: out of resources
    (0xA7xx), resource limitation (0x0213) and processing failure (0x0110), which says nothing of the object.
    Everything else is ``refused``, a status that the standard does not know included.
    """
    if status == 0x0000:
        return "stored"
    if status in (0x0001, 0x0107, 0x0116) or 0xB000 <= status <= 0xBFFF:
        return "warning"
    if status in (0x0110, 0x0213) or 0xA700 <= status <= 0xA7FF:
        return "refused-now"
    return "refused"


def store(
    peer: Peer,
    files: Sequence[Path],
    on_result: Callable[[StoreResult], None],
    *,
    options: SocketOptions = SocketOptions(),  # noqa: B008  # frozen
) -> None:
    """Send files, in their order, in one association.

    Parameters
    ----------
    peer
        Where to.
    files
        DICOM files. Nothing happens if there are none.
    on_result
        Called after each response, before the next request, so that it can be written down; for the request
        that was under way when the association broke too (``no-answer``).
    options
        Of the TCP connection.

    Raises
    ------
    SeriesError
        A file cannot be sent; every one is named, and nothing was sent. Or one vanished meanwhile.
    PeerError
        No association, or it broke; or the peer does not accept some of the files, in which case all others
        have been sent. What has no result was not sent.
    """
    outgoing = read_outgoing(files)
    if not outgoing:
        return
    contexts = _contexts(outgoing)
    with connected(peer, contexts, options) as connection:
        accepted = [each for each in outgoing if connection.accepts(each.sop_class_uid, each.transfer_syntax)]
        for k, each in enumerate(accepted):
            _store_one(connection, each, k % _MOST_MESSAGES + 1, on_result)
    if len(accepted) < len(outgoing):
        raise not_accepted(peer, _contexts([each for each in outgoing if each not in accepted]))


def echo(peer: Peer, *, options: SocketOptions = SocketOptions()) -> float:  # noqa: B008  # frozen
    """Ask the peer whether it is there (C-ECHO), and return how many seconds that took, connection included.

    Raises
    ------
    PeerError
        It is not, or refuses: the message names what is wrong of host, port, called and calling AE title.
    """
    start = time.perf_counter()
    with connected(peer, [build_context(_VERIFICATION, ImplicitVRLittleEndian)], options) as connection:
        status = connection.request(1, lambda association: association.send_c_echo(1))
        seconds = time.perf_counter() - start
        if status is None:
            raise connection.failure("it was asked for an echo")
        if status:
            raise PeerError(f"{peer} answered C-ECHO with status 0x{status:04X}", hint="its log may say why")
    return seconds


def _contexts(outgoing: Sequence[Outgoing]) -> list[PresentationContext]:
    """One presentation context for each pair of SOP class and transfer syntax, in the order of the files."""
    pairs = dict.fromkeys((each.sop_class_uid, each.transfer_syntax) for each in outgoing)
    if len(pairs) > _MOST_CONTEXTS:
        raise SeriesError(
            f"{len(pairs)} pairs of SOP class and transfer syntax, {_MOST_CONTEXTS} fit into an association",
            hint="send fewer files at a time",
        )
    return [build_context(sop_class, syntax) for sop_class, syntax in pairs]


def _store_one(
    connection: Connection, instance: Outgoing, number: int, on_result: Callable[[StoreResult], None]
) -> None:
    """Send one file and report the response; PeerError where none came."""
    uid = str(instance.sop_instance_uid)
    try:
        status = connection.request(
            number,
            lambda association: association.send_c_store(instance.path, number, _MEDIUM_PRIORITY),
        )
    except OSError as error:
        said = error.strerror or type(error).__name__
        raise SeriesError(f"{instance.path}: cannot be read any more ({said})") from error
    if status is None:
        failure = connection.failure(f"instance {uid} was sent")
        on_result(StoreResult(instance.path, uid, None, "no-answer", failure.message))
        raise failure
    on_result(StoreResult(instance.path, uid, status, classify(status), _words(status)))


def _words(status: int) -> str:
    """The status in the words of the standard."""
    if status == 0:
        return ""
    _, words = STORAGE_SERVICE_CLASS_STATUS.get(status, ("", ""))
    return f"{words.lower() or 'a status that the standard does not know'} (0x{status:04X})"
