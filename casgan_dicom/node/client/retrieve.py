"""Fetching instances from an archive (PS3.4 C.4.2 and C.4.3, Study Root).

By C-GET they come in on our own association; by C-MOVE the archive sends them to a node that it knows by its
AE title.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from pydicom.dataset import Dataset
from pydicom.uid import UID, ImplicitVRLittleEndian
from pynetdicom import build_role, evt
from pynetdicom.presentation import build_context

from casgan_dicom.node.client.association import Connection, connected
from casgan_dicom.node.client.line import SocketOptions
from casgan_dicom.node.client.peer import Peer
from casgan_dicom.node.client.query import Held, failed

STUDY_ROOT_MOVE = UID("1.2.840.10008.5.1.4.1.2.2.2")
STUDY_ROOT_GET = UID("1.2.840.10008.5.1.4.1.2.2.3")
AT_ONCE = 100
"""Instances that one request names: the list is one element, which peers read into memory."""
_SOME_FAILED = 0xB000
_PENDING = 0xFF00
_MOST_CONTEXTS = 128

Taken = Callable[[evt.Event], int]
"""Takes one C-STORE request of the peer, and returns the status to answer."""


@dataclass(frozen=True)
class Contexts:
    """What a peer may send in a C-GET."""

    sop_classes: tuple[str, ...]
    """SOP classes."""
    syntaxes: tuple[str, ...]
    """Transfer syntaxes that are taken, the best first."""


def get(peer: Peer, instances: Sequence[Held], contexts: Contexts, taken: Taken) -> None:
    """Fetch instances of one series over one association.

    Parameters
    ----------
    peer
        The archive.
    instances
        Those that are wanted, all of one series.
    contexts
        What may be sent.
    taken
        Called for each instance that comes.

    Raises
    ------
    PeerError
        No association, or the archive refused; what has come by then was taken.
    """
    proposed = [build_context(STUDY_ROOT_GET, ImplicitVRLittleEndian)]
    # One for each syntax, so that an instance can come as it lies there.
    pairs = [(uid, syntax) for uid in contexts.sop_classes for syntax in contexts.syntaxes]
    proposed += [build_context(*pair) for pair in pairs][: _MOST_CONTEXTS - 1]
    roles = [build_role(uid, scp_role=True) for uid in contexts.sop_classes]
    with connected(peer, proposed, SocketOptions(), roles) as connection:
        connection.association.bind(evt.EVT_C_STORE, taken)
        for part in _parts(instances):
            answers = connection.association.send_c_get(_identifier(part), STUDY_ROOT_GET)
            _follow(connection, "C-GET", answers)


def move(peer: Peer, instances: Sequence[Held], to_ae_title: str) -> None:
    """Have an archive send instances of one series to a node; raises PeerError."""
    # Some archives answer 0xA801 where they do not know a destination, others any failure.
    hint = f"it has to know '{to_ae_title}', with the address of this machine and the port of our listener"
    with connected(
        peer, [build_context(STUDY_ROOT_MOVE, ImplicitVRLittleEndian)], SocketOptions()
    ) as connection:
        for part in _parts(instances):
            answers = connection.association.send_c_move(_identifier(part), to_ae_title, STUDY_ROOT_MOVE)
            _follow(connection, "C-MOVE", answers, hint)


def _parts(instances: Sequence[Held]) -> Iterator[Sequence[Held]]:
    for begin in range(0, len(instances), AT_ONCE):
        yield instances[begin : begin + AT_ONCE]


def _identifier(instances: Sequence[Held]) -> Dataset:
    """What names some instances of one series."""
    identifier = Dataset()
    identifier.QueryRetrieveLevel = "IMAGE"
    identifier.StudyInstanceUID = instances[0].study_uid
    identifier.SeriesInstanceUID = instances[0].series_uid
    identifier.SOPInstanceUID = [each.sop_uid for each in instances]
    return identifier


def _follow(
    connection: Connection,
    operation: str,
    answers: Iterator[tuple[Dataset, Dataset | None]],
    hint: str = "its log may say why",
) -> None:
    """Wait for the last response. Some that failed are no error here: who asked looks at what came."""
    doing = "instances were fetched"
    for status, _ in answers:
        if "Status" not in status:
            raise connection.failure(doing)
        code = int(status.Status)
        if code not in (0, _PENDING, _SOME_FAILED):
            raise failed(connection.peer, operation, code, doing, hint)
