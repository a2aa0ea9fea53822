"""Verdicts become objects, where the rule of their job or the settings ask for it.

The object lies in the outbox of the job and is sent like the others. It follows from the verdict and from
what the job made, so one that is made again after a crash is the same one.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from casgan_dicom.disk import write_output
from casgan_dicom.errors import CasganError, OutputError, SeriesError
from casgan_dicom.log import get_logger
from casgan_dicom.node.client.outgoing import reading
from casgan_dicom.node.settings import NodeSettings
from casgan_dicom.node.state.deliveries import Derived
from casgan_dicom.node.state.layout import Layout
from casgan_dicom.node.state.ledger import Ledger, LedgerError
from casgan_dicom.node.state.reviews import Review, Reviews, Subject

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

AGAIN_SECONDS = 60.0
"""After an object could not be written: the disk may be full."""

log = get_logger("reviewing")


def record_for(settings: NodeSettings, rule: str) -> Literal["", "sr", "ko"]:
    """What a verdict about a job becomes by the rule that decided about it; empty for nothing."""
    of_rule = next((each.review for each in settings.rules if each.name == rule), "")
    said = of_rule or settings.review.record
    return "sr" if said == "sr" else "ko" if said == "ko" else ""


class Reviewing:
    """What becomes of the verdicts of a node.

    Parameters
    ----------
    settings
        Of the node.
    ledger
        Of the node.
    """

    def __init__(self, settings: NodeSettings, ledger: Ledger) -> None:
        self._settings = settings
        self._layout = Layout(settings.data)
        self._reviews = Reviews(ledger)
        self._not_before = 0.0

    def round(self, now: float) -> None:
        """Decide about every verdict that is due. Raises LedgerError."""
        if now < self._not_before:
            return
        for review in self._reviews.due(self._settings.host.name):
            try:
                self._decide(review, now)
            except OutputError as error:
                log.error("object of a verdict cannot be written", job=review.job, reason=error.message)
                self._not_before = now + AGAIN_SECONDS
                return
            except CasganError as error:
                self._fail(review, error.message)
            except LedgerError:
                raise
            except Exception as error:  # a bug must not stop the coordinator; its text may quote a header
                log.exception("object of a verdict cannot be made", error=error, job=review.job)
                self._fail(review, f"unexpected {type(error).__name__}, see the log")

    def _decide(self, review: Review, now: float) -> None:
        subject = self._reviews.subject(review)
        kind = record_for(self._settings, subject.rule)
        if not kind:
            self._reviews.waive(review)
            return
        made = write_record(review, subject, kind, self._layout.outbox / review.job)
        derived = replace(made, host=self._settings.host.name)
        self._reviews.made(review, derived, now)
        log.info(
            "verdict goes to the destinations",
            job=review.job,
            verdict=review.verdict.outcome,
            number=review.number,
            sop_instance_uid=derived.sop_uid,
        )

    def _fail(self, review: Review, why: str) -> None:
        log.warning("verdict stays in the ledger alone", job=review.job, number=review.number, reason=why)
        self._reviews.fail(review, why)


def write_record(review: Review, subject: Subject, kind: Literal["sr", "ko"], folder: Path) -> Derived:
    """Make the object of a verdict and write it into a folder.

    Raises OutputError where it cannot be written, SeriesError where what it is about is gone or unknown.
    """
    # Imported here: a coordinator of a node where nobody asks for it need not hold what makes documents.
    from casgan_dicom.derived.references import Reference  # noqa: PLC0415
    from casgan_dicom.derived.review_content import Judgement  # noqa: PLC0415
    from casgan_dicom.derived.review_reasons import REASONS  # noqa: PLC0415
    from casgan_dicom.derived.review_record import Reviewed, ReviewRecord  # noqa: PLC0415

    verdict, at = review.verdict, datetime.fromtimestamp(review.at, UTC)
    reason = REASONS[verdict.reason] if verdict.reason else None
    objects = tuple(
        Reference(one.sop_class_uid, one.sop_uid, one.series_uid, one.frames) for one in subject.objects
    )
    about = Reviewed(review.job, _header(review.job, subject.objects), objects, subject.record_before)
    said = Judgement(reason, verdict.text, verdict.reviewer, at, review.number)
    record = ReviewRecord(said, about, kind)
    content = BytesIO()
    record.save_as(content, enforce_file_format=True)
    path = folder / f"review-{record.SOPInstanceUID}.dcm"
    write_output(path, content.getvalue())
    return Derived(
        sop_uid=str(record.SOPInstanceUID),
        series_uid=str(record.SeriesInstanceUID),
        path=path,
        sha256=hashlib.sha256(content.getvalue()).hexdigest(),
        frames=1,
        sop_class_uid=str(record.SOPClassUID),
    )


def _header(job: str, objects: Sequence[Derived]) -> Dataset:
    """Header of one of some objects: of the series of pictures with the lowest number, the cine itself."""
    from pydicom import dcmread  # noqa: PLC0415 - as above

    from casgan_dicom.verification.kinds import KINDS, ObjectKind  # noqa: PLC0415

    if unknown := sum(not one.sop_class_uid for one in objects):
        raise SeriesError(
            f"job {job}: an older version made {unknown} of its objects: their class is unknown"
        )
    pictures = {ObjectKind.CINE, ObjectKind.FRAME}
    first = {one.series_uid: one for one in objects[::-1] if KINDS.get(one.sop_class_uid) in pictures}
    headers = []
    for one in first.values():
        with reading(one.path), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pydicom quotes malformed values
            headers.append(dcmread(one.path, stop_before_pixels=True))
    if not headers:
        raise SeriesError(f"job {job}: none of its {len(objects)} objects is a picture")
    return min(headers, key=lambda ds: int(ds.get("SeriesNumber") or 0))
