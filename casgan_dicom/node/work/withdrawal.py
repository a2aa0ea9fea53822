"""Notes that withdraw at a destination what later revisions supersede, made once and sent like any object.

A note lies in the outbox beside the objects that stand in for what it withdraws. It is made for exactly these
objects, so one that is sent again, or made again, is the same one by its UID.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

from pydicom import dcmread

from casgan_dicom.derived.withdrawal import Withdrawn, withdrawal, withdrawal_uid
from casgan_dicom.disk import write_output
from casgan_dicom.node.client.outgoing import reading
from casgan_dicom.node.settings import WithdrawalTitle
from casgan_dicom.node.state.holdings import HeldFile
from casgan_dicom.node.state.layout import Layout
from casgan_dicom.node.state.ledger import Ledger
from casgan_dicom.node.state.withdrawals import is_stored, to_withdraw


def notes(
    ledger: Ledger,
    layout: Layout,
    job: str,
    destination: str,
    title: WithdrawalTitle,
    find: Callable[[HeldFile], Path] = lambda held: held.path,
) -> list[Path]:
    """Files of the notes that a destination is to get once it holds the objects of a job.

    `find` says where an object is that another host may have.

    Raises OutputError where one cannot be written, SeriesError where the object that it is about is gone.
    """
    made = []
    for each in to_withdraw(ledger, job, destination):
        images = [Withdrawn(one.sop_class_uid, one.sop_uid, one.series_uid) for one in each.objects]
        uid = withdrawal_uid(images, title)
        if not is_stored(ledger, uid, destination):
            path = layout.outbox / each.job / f"withdrawal-{uid}.dcm"
            if not path.exists():
                _write(path, find(each.instead), images, title)
            made.append(path)
    return made


def _write(path: Path, superseding: Path, images: list[Withdrawn], title: WithdrawalTitle) -> None:
    with reading(superseding), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom quotes malformed values
        instead = dcmread(superseding, stop_before_pixels=True)
        content = BytesIO()
        withdrawal(instead, images, title).save_as(content, enforce_file_format=True)
    write_output(path, content.getvalue())
