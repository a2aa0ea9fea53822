"""What becomes of an instance when its last byte is here, and what the sender is told.

    0000  when the file is flushed, renamed, the rename flushed and its row committed; or it is there already,
          in every byte: what the ledger remembers is not enough, but of a file that was removed because
          nobody needed it any more. Among several hosts it may be with another, who is asked
    A700  when there is no room for it, or it is too long; nothing of it stays
    A900  when it is not what the request said
    C000  when nothing can be made of it

What is answered with A900 or C000 is kept in quarantine, with the reason in the ledger.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from time import monotonic, time

from casgan_dicom.log import get_logger
from casgan_dicom.node.receive.commands import Answer
from casgan_dicom.node.receive.identity import WANTED as OF_IDENTITY
from casgan_dicom.node.receive.identity import Identity, UnreadableError, read_identity
from casgan_dicom.node.receive.plain_header import GLANCE_BYTES, plain_header
from casgan_dicom.node.receive.spool import Intake, Spool, trouble_of
from casgan_dicom.node.receive.wholeness import WANTED as OF_PIXELS
from casgan_dicom.node.receive.wholeness import check_whole
from casgan_dicom.node.state.bells import COORDINATOR, ring
from casgan_dicom.node.state.holdings import HeldFile
from casgan_dicom.node.state.ledger import LedgerError, UncertainError
from casgan_dicom.node.state.receipts import Receipt, Receipts, Received, Refused
from casgan_dicom.uids import is_uid

SUCCESS, NO_ROOM, MISMATCH, NOT_UNDERSTOOD = 0x0000, 0xA700, 0xA900, 0xC000

_STORED, _AGAIN = "instance stored", "instance was there already"
_MENDED = "instance stored again, its file was gone or damaged"
_REMOVED = "instance came again, was not needed any more and removed: not stored"
_LONGEST_COMMENT = 64
_LOCKS = 64
_WANTED = OF_IDENTITY | OF_PIXELS

log = get_logger("listener")


class Reception:
    """What becomes of an instance when its last byte is here.

    Parameters
    ----------
    spool
        Where the files are.
    receipts
        Where it is written down what was received.
    clock
        Seconds since 1970.
    is_whole
        Whether another host has a file that it should have, in every byte.
    """

    def __init__(
        self,
        spool: Spool,
        receipts: Receipts,
        clock: Callable[[], float] = time,
        is_whole: Callable[[HeldFile], bool] = lambda _: False,
    ) -> None:
        self._is_whole = is_whole
        self._spool = spool
        self._receipts = receipts
        self._clock = clock
        # The same instance from two senders at once: or the second might delete the file of the first.
        self._locks = [threading.Lock() for _ in range(_LOCKS)]

    def take(self, intake: Intake, address: str) -> Answer:
        """Keep an instance, put it aside or refuse it, and say what to answer; never raises."""
        with self._locks[int(intake.digest[:8], 16) % _LOCKS]:
            try:
                return self._take(intake, address)
            except OSError as error:
                return self._refuse(intake, address, trouble_of(error), error)
            except LedgerError as error:
                return self._refuse(intake, address, "cannot be entered into the ledger", error)
            except Exception as error:  # our own fault: the peer may send again
                return self._refuse(intake, address, "internal error", error)
            finally:
                intake.discard()

    def _take(self, intake: Intake, address: str) -> Answer:
        if intake.trouble:
            return self._refuse(intake, address, intake.trouble)
        opening = intake.opening
        intake.write_back()
        where = intake.path, intake.offset, opening.transfer_syntax
        header = plain_header(intake.beginning(GLANCE_BYTES), opening.transfer_syntax, _WANTED)
        try:
            check_whole(*where, header)
            identity = read_identity(*where, header)
        except UnreadableError as error:
            return self._put_aside(intake, address, NOT_UNDERSTOOD, str(error))
        if identity.sop_class_uid != opening.sop_class_uid:
            return self._put_aside(
                intake, address, MISMATCH, "SOPClassUID (0008,0016) is not the one requested"
            )
        if identity.sop_uid != opening.sop_uid:
            reason = "SOPInstanceUID (0008,0018) is not the one requested"
            return self._put_aside(intake, address, MISMATCH, reason)
        if opening.study_uid not in ("", identity.study_uid):
            reason = "StudyInstanceUID (0020,000D) is not the one requested"
            return self._put_aside(intake, address, MISMATCH, reason)
        return self._keep(intake, identity, address)

    def _keep(self, intake: Intake, identity: Identity, address: str) -> Answer:
        """Make an instance safe, once."""
        receipt = self._known(intake, identity)
        if receipt is None:
            path = self._spool.keep(intake, identity.series_uid, identity.sop_uid)
            try:
                receipt = self._enter(_received(intake, identity, path, address))
            except UncertainError:
                intake.release()  # its row may be there; if it is not, the next start deletes the file
                raise
            if receipt.elsewhere is None:  # else its file goes again
                intake.release()
        told = log.bind(
            job=receipt.job,
            ae_title=intake.opening.peer,
            address=address,
            series_uid=identity.series_uid,
            sop_uid=identity.sop_uid,
            bytes=intake.bytes,
            seconds=round(monotonic() - intake.started, 4),
        )
        what = _STORED if receipt.fresh else _MENDED if receipt.mended else _AGAIN
        what = _REMOVED if receipt.removed else what

        def afterwards() -> None:
            ring(self._spool.layout.bells, COORDINATOR)
            told.info(what)

        return Answer(SUCCESS, afterwards=afterwards)

    def _enter(self, received: Received) -> Receipt:
        """Write an instance down. One that another host has stays there, if it says that it is whole."""
        receipt = self._receipts.enter(received, self._clock())
        if receipt.elsewhere is None:
            return receipt
        if self._is_whole(receipt.elsewhere) and self._receipts.again(received.sop_uid, received.sha256):
            return receipt
        return self._receipts.enter(received, self._clock(), take_over=True)

    def _known(self, intake: Intake, identity: Identity) -> Receipt | None:
        """Count what is there already, or was removed when it was not needed any more; None for all else."""
        which = identity.sop_uid, intake.digest
        if (receipt := self._receipts.let_go(*which)) is not None:
            return receipt
        # Where no file is, none is kept: the ledger need not be asked whether it knows one.
        place = self._spool.place(identity.series_uid, identity.sop_uid, intake.digest)
        known = self._receipts.known(*which) if place.exists() else None
        if known is not None and self._spool.holds(known, intake):
            return self._receipts.again(*which)
        return None

    def _put_aside(self, intake: Intake, address: str, status: int, reason: str) -> Answer:
        """Keep what nothing can be made of, and why."""
        opening = intake.opening
        sop_uid = opening.sop_uid if is_uid(opening.sop_uid) else ""
        path = self._spool.put_aside(intake)
        refused = Refused(path, sop_uid, reason, opening.peer, address)
        try:
            self._receipts.quarantine(refused, self._clock())
        except UncertainError:
            intake.release()
            raise
        intake.release()
        log.warning(
            "instance put into quarantine",
            reason=reason,
            ae_title=opening.peer,
            address=address,
            sop_uid=sop_uid,
            path=path,
        )
        return Answer(status, reason[:_LONGEST_COMMENT])

    def _refuse(self, intake: Intake, address: str, reason: str, error: Exception | None = None) -> Answer:
        """Say that there is no room; nothing stays."""
        told = log.bind(reason=reason, ae_title=intake.opening.peer, address=address, bytes=intake.bytes)
        if error is None:
            told.error("instance refused")
        else:
            told.exception("instance refused", error=error)
        return Answer(NO_ROOM, reason)


def _received(intake: Intake, identity: Identity, path: Path, address: str) -> Received:
    """An instance that lies in its place."""
    return Received(
        sop_uid=identity.sop_uid,
        sha256=intake.digest,
        series_uid=identity.series_uid,
        path=path,
        bytes=intake.bytes,
        frames=identity.frames,
        expected=identity.expected,
        peer=intake.opening.peer,
        address=address,
        study_uid=identity.study_uid,
        subject=identity.subject,
        called=intake.opening.called,
    )
