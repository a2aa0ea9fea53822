"""What an archive holds, asked level by level: C-FIND, Study Root (PS3.4 C.4.1 and C.6.2).

Only UIDs, dates and modalities are asked for and kept: no answer here holds patient data.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from pydicom.dataset import Dataset
from pydicom.uid import UID, ImplicitVRLittleEndian
from pynetdicom.presentation import build_context

from casgan_dicom.errors import PeerError
from casgan_dicom.node.client.association import Connection, connected
from casgan_dicom.node.client.line import SocketOptions
from casgan_dicom.node.client.peer import Peer
from casgan_dicom.uids import is_uid

STUDY_ROOT_FIND = UID("1.2.840.10008.5.1.4.1.2.2.1")
_PENDING = (0xFF00, 0xFF01)
_CANCELLED = 0xFE00


@dataclass(frozen=True)
class Wanted:
    """Which instances are asked for: those that fit everything said here."""

    studies: tuple[str, ...] = ()
    """Study Instance UIDs (0020,000D); empty for any."""
    series: tuple[str, ...] = ()
    """Series Instance UIDs (0020,000E); empty for any."""
    dates: str = ""
    """Study Date (0008,0020): a day, or a range as 20260101-20260131; empty for any."""
    modalities: tuple[str, ...] = ()
    """Modality (0008,0060) of the series; empty for any."""


@dataclass(frozen=True)
class Held:
    """An instance that an archive holds."""

    study_uid: str
    """Study Instance UID (0020,000D)."""
    series_uid: str
    """Series Instance UID (0020,000E)."""
    sop_uid: str
    """SOP Instance UID (0008,0018)."""
    sop_class_uid: str
    """SOP Class UID (0008,0016); empty where the archive does not tell."""


def held_by(peer: Peer, wanted: Wanted, options: SocketOptions = SocketOptions()) -> list[Held]:  # noqa: B008  # frozen
    """Ask an archive which instances it holds of what is wanted, in the order in which it tells.

    An answer without a UID where one has to be is passed over: nothing could be fetched by it.

    Raises
    ------
    PeerError
        No association, none for queries, a failure, or no answer.
    """
    with asking(peer, options) as ask:
        return ask(wanted)


@contextmanager
def asking(peer: Peer, options: SocketOptions = SocketOptions()) -> Iterator[Callable[[Wanted], list[Held]]]:  # noqa: B008  # frozen
    """Questions as `held_by` puts them, one after the other over one association, for the time of a block."""
    with connected(peer, [build_context(STUDY_ROOT_FIND, ImplicitVRLittleEndian)], options) as connection:
        yield lambda wanted: list(_instances(connection, wanted))


def _instances(connection: Connection, wanted: Wanted) -> Iterator[Held]:
    for study in wanted.studies or _studies(connection, wanted):
        for series in _series(connection, study, wanted):
            keys = {"StudyInstanceUID": study, "SeriesInstanceUID": series}
            for found in _ask(connection, "IMAGE", keys | {"SOPInstanceUID": "", "SOPClassUID": ""}):
                uid = _uid(found, "SOPInstanceUID")
                if uid:
                    yield Held(study, series, uid, _uid(found, "SOPClassUID"))


def _studies(connection: Connection, wanted: Wanted) -> list[str]:
    """Studies of the dates, each once."""
    keys = {"StudyDate": wanted.dates, "StudyInstanceUID": ""}
    # A list of modalities need not be understood (PS3.4 C.2.2.2.2): so one question for each.
    asked = [keys | {"ModalitiesInStudy": modality} for modality in wanted.modalities or [""]]
    found = [each for one in asked for each in _ask(connection, "STUDY", one)]
    return list(dict.fromkeys(filter(None, (_uid(each, "StudyInstanceUID") for each in found))))


def _series(connection: Connection, study: str, wanted: Wanted) -> list[str]:
    """Series of a study that are wanted. Archives may not match by modality, so it is looked at here."""
    keys = {"StudyInstanceUID": study, "SeriesInstanceUID": "", "Modality": ""}
    found = _ask(connection, "SERIES", keys)
    fitting = [
        _uid(each, "SeriesInstanceUID")
        for each in found
        if not wanted.modalities or str(each.get("Modality", "")) in wanted.modalities
    ]
    return [uid for uid in dict.fromkeys(fitting) if uid and (not wanted.series or uid in wanted.series)]


def _ask(connection: Connection, level: str, keys: dict[str, str]) -> list[Dataset]:
    """All answers to one question. Raises PeerError."""
    question = Dataset()
    question.QueryRetrieveLevel = level
    for keyword, value in keys.items():
        setattr(question, keyword, value)
    found = []
    doing = f"{level.lower()} level was asked for"
    for status, answer in connection.association.send_c_find(question, STUDY_ROOT_FIND):
        if "Status" not in status:
            raise connection.failure(doing)
        if status.Status in _PENDING:
            if answer is None:
                raise PeerError(f"{connection.peer} sent an answer that cannot be read while {doing}")
            found.append(answer)
        elif status.Status:
            raise failed(connection.peer, "C-FIND", int(status.Status), doing)
    return found


def failed(
    peer: Peer, operation: str, status: int, doing: str, hint: str = "its log may say why"
) -> PeerError:
    """The peer answered a query or a retrieval with a status that is no success."""
    words = {
        _CANCELLED: "cancelled",
        0xA700: "out of resources",
        0xA900: "the question fits no SOP class of it",
    }
    said = words.get(status, "unable to process" if 0xC000 <= status < 0xD000 else "failed")
    return PeerError(
        f"{peer} answered {operation} with status 0x{status:04X} ({said}) while {doing}",
        hint=hint,
    )


def series_of(instances: Sequence[Held]) -> list[list[Held]]:
    """The instances, series by series, in their order."""
    groups: dict[tuple[str, str], list[Held]] = {}
    for each in instances:
        groups.setdefault((each.study_uid, each.series_uid), []).append(each)
    return list(groups.values())


def _uid(found: Dataset, keyword: str) -> str:
    """A UID of an answer; empty where there is none."""
    value = found.get(keyword)
    return str(value) if isinstance(value, str) and is_uid(value) else ""
