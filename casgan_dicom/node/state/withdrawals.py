"""Which objects a destination holds that others, which it holds too, stand in for now."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from casgan_dicom.node.state.database import Connection
from casgan_dicom.node.state.holdings import HeldFile, held_object
from casgan_dicom.node.state.job_inputs import Made, inputs_of
from casgan_dicom.node.state.ledger import Ledger


@dataclass(frozen=True)
class ToWithdraw:
    """Objects of earlier revisions, to be withdrawn at one destination."""

    objects: tuple[Made, ...]
    """Those, at least one."""
    instead: HeldFile
    """An object that supersedes them."""
    job: str
    """The job that made it."""


def to_withdraw(ledger: Ledger, job: str, destination: str) -> list[ToWithdraw]:
    """What is to be withdrawn at a destination after the objects of a job were stored there.

    Mostly it is what the job itself supersedes. Deliveries overtake each other, so a later revision may have
    been stored before: what it supersedes is looked for as well.
    """
    with ledger.reading() as db:
        found = [_of(db, each, destination) for each in _from(db, job)]
    return [each for each in found if each is not None]


def is_stored(ledger: Ledger, sop_uid: str, destination: str) -> bool:
    """Whether a destination has stored an object."""
    with ledger.reading() as db:
        return sop_uid in _stored(db, [sop_uid], destination)


def _from(db: Connection, job: str) -> list[str]:
    """A job and the later revisions of what it is one of; what is converted once more is none."""
    rows = db.execute(
        "SELECT later.job FROM jobs JOIN jobs AS later ON later.lineage = jobs.lineage"
        " AND later.revision >= jobs.revision AND later.repeats = ''"
        " WHERE jobs.job = ? AND jobs.repeats = '' AND jobs.lineage != '' ORDER BY later.revision",
        [job],
    )
    return [row["job"] for row in rows]


def _of(db: Connection, job: str, destination: str) -> ToWithdraw | None:
    made = db.execute("SELECT * FROM outbox WHERE job = ? ORDER BY path", [job]).fetchall()
    there = _stored(db, [row["sop_uid"] for row in made], destination)
    made = [row for row in made if row["sop_uid"] in there]
    superseded = inputs_of(db, job).superseded if made else ()
    held = _stored(db, [each.sop_uid for each in superseded], destination)
    anew = {source for row in made for source in json.loads(row["sources"])}
    objects = tuple(
        each
        for each in superseded
        if each.sop_uid in held and each.sop_class_uid and anew.intersection(each.sources)
    )
    return ToWithdraw(objects, held_object(made[0]), job) if objects else None


def _stored(db: Connection, sop_uids: Sequence[str], destination: str) -> set[str]:
    """Those of some objects that a destination has stored."""
    if not sop_uids:
        return set()
    rows = db.execute(
        "SELECT sop_uid FROM stores WHERE destination = ? AND stored_at IS NOT NULL"
        f" AND sop_uid IN ({','.join('?' * len(sop_uids))})",
        [destination, *sop_uids],
    )
    return {row["sop_uid"] for row in rows}
