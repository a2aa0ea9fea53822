"""One DICOM file of a web request, on its way into the spool: in pieces, none of which stays in memory."""

from __future__ import annotations

from dataclasses import dataclass

from pydicom.uid import UID

from casgan_dicom.node.receive.file_meta import LONGEST_META, FileMeta, read_file_meta
from casgan_dicom.node.receive.listener import STORAGE_CLASSES
from casgan_dicom.node.receive.reception import NOT_UNDERSTOOD, Reception
from casgan_dicom.node.receive.spool import Intake, Opening, Spool
from casgan_dicom.node.receive.store_answer import CLASS_NOT_SUPPORTED, SYNTAX_NOT_SUPPORTED, Outcome
from casgan_dicom.pixels.syntaxes import SYNTAXES
from casgan_dicom.uids import is_uid


@dataclass(frozen=True)
class Sender:
    """Who sends, and what for."""

    name: str
    """What jobs and rules call it."""
    address: str
    """IP address that it comes from."""
    study_uid: str = ""
    """The study that everything has to be of; empty for any."""


class PostedFile:
    """One file as it comes; for one thread at a time.

    Parameters
    ----------
    spool
        Where it goes.
    reception
        Takes it.
    sender
        Whose it is.
    """

    def __init__(self, spool: Spool, reception: Reception, sender: Sender) -> None:
        self.fault = ""
        """Why nothing can be made of it, without patient data; empty while nothing is wrong."""
        self._spool, self._reception, self._sender = spool, reception, sender
        self._head = bytearray()
        self._refused: Outcome | None = None
        self._meta: FileMeta | None = None
        self._intake: Intake | None = None

    def write(self, data: memoryview) -> None:
        """Take more of it."""
        if self._intake is not None:
            self._intake.write(data)
        elif self._refused is None:
            most = LONGEST_META + 1024 - len(self._head)
            self._head += data[:most]
            self._begin()
            if self._intake is not None:
                self._intake.write(data[most:])

    def refuse(self, status: int, fault: str) -> None:
        """Take nothing of it."""
        self.fault = fault
        uids = (self._meta.sop_class_uid, self._meta.sop_uid) if self._meta else ("", "")
        self._refused = Outcome(status, *(uids if all(map(is_uid, uids)) else ("", "")))
        self._head.clear()

    def end(self) -> Outcome:
        """It is whole: have it flushed and entered, and say what became of it."""
        if self._refused is None and self._intake is None:
            self.refuse(NOT_UNDERSTOOD, "ends before its data set begins")
        if self._refused is not None:
            return self._refused
        intake, meta = self._intake, self._meta
        assert intake is not None
        assert meta is not None
        is_too_long = intake.too_long
        answer = self._reception.take(intake, self._sender.address)
        answer.afterwards()
        self.fault = answer.comment
        return Outcome(answer.status, meta.sop_class_uid, meta.sop_uid, is_too_long)

    def discard(self) -> None:
        """It is not whole, and never will be."""
        if self._intake is not None:
            self._intake.discard()

    def _begin(self) -> None:
        """Open a file in the spool as soon as it is known what comes."""
        try:
            meta = read_file_meta(bytes(self._head))
        except ValueError as error:
            self.refuse(NOT_UNDERSTOOD, str(error))
            return
        if meta is None:
            return
        self._meta = meta
        if meta.sop_class_uid not in STORAGE_CLASSES:
            self.refuse(CLASS_NOT_SUPPORTED, "is of a SOP class that is not taken")
            return
        row = SYNTAXES.get(UID(meta.transfer_syntax))
        if row is None or row.decoder.missing:
            self.refuse(SYNTAX_NOT_SUPPORTED, "is in a transfer syntax that is not taken")
            return
        self._intake = self._spool.begin(
            Opening(
                meta.sop_class_uid,
                meta.sop_uid,
                meta.transfer_syntax,
                self._sender.name,
                study_uid=self._sender.study_uid,
            )
        )
        self._intake.write(memoryview(bytes(self._head))[meta.offset :])
        self._head.clear()
