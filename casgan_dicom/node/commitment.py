"""Storage commitment (PS3.4 annex J): what its messages say, for both ends and both roles.

    N-ACTION         who wants to delete objects names them, under a Transaction UID (0008,1195) of his own
    N-EVENT-REPORT   who was asked says, now or days later, which of them he keeps, and which he does not

Data sets are read with bounds, because they come from the wire: nothing that is longer than
`LONGEST_DATA_SET` or names more than `MOST_REFERENCES` objects is decoded.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from io import BytesIO

from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom.dsutils import decode, encode

from casgan_dicom.node.dimse import (
    A_DATA_SET,
    ACTION_TYPE,
    ANSWERED_ID,
    DATA_SET_TYPE,
    EVENT_TYPE,
    FIELD,
    IS_RESPONSE,
    MESSAGE_ID,
    N_ACTION_RQ,
    N_EVENT_REPORT_RQ,
    NO_DATA_SET,
    REQUESTED_CLASS_UID,
    REQUESTED_UID,
    SOP_CLASS_UID,
    SOP_UID,
    STATUS,
    command_set,
    element,
    short,
)
from casgan_dicom.uids import is_uid

PUSH_MODEL, WELL_KNOWN = "1.2.840.10008.1.20.1", "1.2.840.10008.1.20.1.1"
"""Storage Commitment Push Model: its SOP class, and the one SOP instance of it."""
SYNTAXES = (str(ExplicitVRLittleEndian), str(ImplicitVRLittleEndian))
"""Transfer syntaxes of its data sets, the preferred one first."""
REQUEST = 1
"""Action Type ID (0000,1008): keep these."""
ALL_KEPT, SOME_FAILED = 1, 2
"""Event Type ID (0000,1002) of a report."""
LONGEST_DATA_SET = 1024 * 1024
"""Bytes of a data set."""
MOST_REFERENCES = 10_000
"""Items of all sequences of a data set together."""

SUCCESS, PROCESSING_FAILURE, NO_SUCH_INSTANCE, NO_SUCH_EVENT = 0x0000, 0x0110, 0x0112, 0x0113
INVALID_ARGUMENT, CLASS_CONFLICT, NO_SUCH_ACTION, RESOURCES = 0x0115, 0x0119, 0x0123, 0x0213
"""Statuses of PS3.7 annex C; `NO_SUCH_INSTANCE` and `CLASS_CONFLICT` are Failure Reasons (0008,1197) too."""

_ITEM = b"\xfe\xff\x00\xe0"
_REASON_BITS = 0xFFFF


class CommitmentError(Exception):
    """A data set that says nothing about a commitment; the message says why, the status is for the answer."""

    def __init__(self, said: str, status: int = INVALID_ARGUMENT) -> None:
        super().__init__(said)
        self.status = status


@dataclass(frozen=True)
class Reference:
    """An object that somebody speaks of."""

    sop_class_uid: str
    """Referenced SOP Class UID (0008,1150)."""
    sop_uid: str
    """Referenced SOP Instance UID (0008,1155)."""


@dataclass(frozen=True)
class Request:
    """What is to be kept."""

    transaction_uid: str
    """Transaction UID (0008,1195)."""
    references: tuple[Reference, ...]
    """The objects."""


@dataclass(frozen=True)
class Report:
    """What is kept, and what is not."""

    transaction_uid: str
    """Transaction UID (0008,1195) of the request."""
    kept: tuple[Reference, ...]
    """Objects that are safe there."""
    failed: tuple[tuple[Reference, int], ...] = ()
    """Those that are not, each with its Failure Reason (0008,1197)."""

    @property
    def event_type(self) -> int:
        """Event Type ID (0000,1002)."""
        return SOME_FAILED if self.failed else ALL_KEPT


def command_refusal(field: int, sop_uid: str, type_id: int) -> tuple[int, str]:
    """The status that refuses N-ACTION or N-EVENT-REPORT for its command, and why; 0 if none does.

    Parameters
    ----------
    field
        Command Field (0000,0100).
    sop_uid
        The SOP instance that it is for.
    type_id
        Action or Event Type ID; -1 where that is none.
    """
    if sop_uid != WELL_KNOWN:
        return NO_SUCH_INSTANCE, "the SOP instance is not the well-known one"
    if field == N_ACTION_RQ and type_id != REQUEST:
        return NO_SUCH_ACTION, f"Action Type ID (0000,1008) is {type_id}, want {REQUEST}"
    if field == N_EVENT_REPORT_RQ and type_id not in (ALL_KEPT, SOME_FAILED):
        return NO_SUCH_EVENT, f"Event Type ID (0000,1002) is {type_id}, want {ALL_KEPT} or {SOME_FAILED}"
    return 0, ""


def request_command(message_id: int) -> bytes:
    """The command of an N-ACTION request, PS3.7 10.3.5.1."""
    content = element(REQUESTED_CLASS_UID, PUSH_MODEL.encode(), b"\0")
    content += element(FIELD, short(N_ACTION_RQ))
    content += element(MESSAGE_ID, short(message_id))
    content += element(DATA_SET_TYPE, short(A_DATA_SET))
    content += element(REQUESTED_UID, WELL_KNOWN.encode(), b"\0")
    return command_set(content + element(ACTION_TYPE, short(REQUEST)))


def report_command(message_id: int, event_type: int) -> bytes:
    """The command of an N-EVENT-REPORT request, PS3.7 10.3.1.1."""
    content = element(SOP_CLASS_UID, PUSH_MODEL.encode(), b"\0")
    content += element(FIELD, short(N_EVENT_REPORT_RQ))
    content += element(MESSAGE_ID, short(message_id))
    content += element(DATA_SET_TYPE, short(A_DATA_SET))
    content += element(SOP_UID, WELL_KNOWN.encode(), b"\0")
    return command_set(content + element(EVENT_TYPE, short(event_type)))


def response_command(field: int, message_id: int, status: int) -> bytes:
    """The command of a response to any request of the peer on our association, PS3.7 10.3.1.2.

    The Event Type ID (0000,1002) is left out: it is optional where no data set follows.
    """
    content = element(SOP_CLASS_UID, PUSH_MODEL.encode(), b"\0")
    content += element(FIELD, short(field | IS_RESPONSE))
    content += element(ANSWERED_ID, short(message_id))
    content += element(DATA_SET_TYPE, short(NO_DATA_SET))
    content += element(STATUS, short(status))
    return command_set(content + element(SOP_UID, WELL_KNOWN.encode(), b"\0"))


def encode_request(request: Request, transfer_syntax: str) -> bytes:
    """The data set of an N-ACTION request."""
    ds = Dataset()
    ds.TransactionUID = request.transaction_uid
    ds.ReferencedSOPSequence = [_item(each) for each in request.references]
    return _encoded(ds, transfer_syntax)


def encode_report(report: Report, transfer_syntax: str) -> bytes:
    """The data set of an N-EVENT-REPORT request."""
    ds = Dataset()
    ds.TransactionUID = report.transaction_uid
    if report.failed:
        ds.FailedSOPSequence = [_item(each, reason) for each, reason in report.failed]
    if report.kept:
        ds.ReferencedSOPSequence = [_item(each) for each in report.kept]
    return _encoded(ds, transfer_syntax)


def decode_request(content: bytes, transfer_syntax: str) -> Request:
    """Read the data set of an N-ACTION request. Raises CommitmentError."""
    ds = _decoded(content, transfer_syntax)
    references = tuple(each for each, _ in _references(ds, "ReferencedSOPSequence"))
    if not references:
        raise CommitmentError("Referenced SOP Sequence (0008,1199) is absent or empty")
    return Request(_transaction(ds), tuple(dict.fromkeys(references)))


def decode_report(content: bytes, transfer_syntax: str) -> Report:
    """Read the data set of an N-EVENT-REPORT request. Raises CommitmentError.

    What it says to be kept and failed at once has failed.
    """
    ds = _decoded(content, transfer_syntax)
    failed = dict(_references(ds, "FailedSOPSequence"))
    bad = {each.sop_uid for each in failed}
    kept = {each for each, _ in _references(ds, "ReferencedSOPSequence") if each.sop_uid not in bad}
    if not kept and not failed:
        raise CommitmentError("the report names no object")
    order = sorted(kept, key=lambda each: each.sop_uid)
    return Report(_transaction(ds), tuple(order), tuple(failed.items()))


def _item(reference: Reference, reason: int | None = None) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = reference.sop_class_uid
    item.ReferencedSOPInstanceUID = reference.sop_uid
    if reason is not None:
        item.FailureReason = reason
    return item


def _encoded(ds: Dataset, transfer_syntax: str) -> bytes:
    content = encode(ds, transfer_syntax == ImplicitVRLittleEndian, True)
    assert content is not None  # what we made of UIDs can be written
    return content


def _decoded(content: bytes, transfer_syntax: str) -> Dataset:
    if len(content) > LONGEST_DATA_SET or content.count(_ITEM) > MOST_REFERENCES:
        raise CommitmentError(f"more than {MOST_REFERENCES} references", RESOURCES)
    try:
        ds = decode(BytesIO(content), transfer_syntax == ImplicitVRLittleEndian, True)
        for _ in ds.iterall():  # what cannot be read is found now
            pass
    except Exception as error:  # a parser fed with garbage raises anything, and may quote it
        raise CommitmentError(f"the data set cannot be decoded ({type(error).__name__})") from error
    return ds


def _transaction(ds: Dataset) -> str:
    found = str(ds.get("TransactionUID") or "")
    if not is_uid(found):
        raise CommitmentError("Transaction UID (0008,1195) is absent or no UID")
    return found


def _references(ds: Dataset, keyword: str) -> Iterable[tuple[Reference, int]]:
    """Objects of a sequence, each with its Failure Reason, 0 where there is none."""
    for item in ds.get(keyword) or ():
        uids = str(item.get("ReferencedSOPClassUID") or ""), str(item.get("ReferencedSOPInstanceUID") or "")
        if not all(map(is_uid, uids)):
            raise CommitmentError("an item of a sequence names no SOP class or no SOP instance")
        reason = item.get("FailureReason")
        yield Reference(*uids), reason & _REASON_BITS if isinstance(reason, int) else 0
