"""What a job converts, and as what.

It is read from rows that do not change any more, so that it is the same after every crash.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from casgan_dicom.node.state.database import Connection, Row
from casgan_dicom.node.state.holdings import HeldFile, held_instance

THERE = (
    "(SELECT count(DISTINCT sop_uid) FROM instances JOIN jobs AS other USING (job)"
    " WHERE other.lineage = jobs.lineage AND other.revision <= jobs.revision)"
)
"""Of a row of `jobs`: different instances that came in with this revision of its lineage, and before."""


@dataclass(frozen=True)
class Made:
    """An object in the outbox that was made of earlier data sets of some instances."""

    sop_class_uid: str
    """SOP Class UID (0008,0016)."""
    sop_uid: str
    """SOP Instance UID (0008,0018)."""
    series_uid: str
    """Series Instance UID (0020,000E)."""
    sources: tuple[str, ...]
    """SOP Instance UIDs of what it was made of."""


@dataclass(frozen=True)
class Corrected:
    """An instance of which another data set came in after one that was converted."""

    sop_uid: str
    """SOP Instance UID (0008,0018)."""
    before: Path
    """The file that an earlier revision had."""
    now: Path
    """The file that came in with this one."""


@dataclass(frozen=True)
class Inputs:
    """What a job converts, and as what."""

    series_uid: str
    """Series Instance UID (0020,000E) of the source."""
    paths: tuple[Path, ...]
    """Files in the spool."""
    revision: int
    """Revision of the derived series: 1 unless the same frames were converted before with fewer or others."""
    supersedes: str
    """Series Instance UID of the derived series before that; empty for none."""
    superseded: tuple[Made, ...] = ()
    """The objects that it supersedes, as far as the ledger knows what they were made of."""
    corrected: tuple[Corrected, ...] = ()
    """The instances of which another data set came in with this job."""
    own: tuple[Path, ...] = ()
    """Those of `paths` that came in with this job."""
    removed: int = 0
    """How many of `paths` were removed when nobody needed them any more (``removals.py``)."""
    stills: frozenset[Path] = frozenset()
    """Those of `paths` that hold a single frame."""
    there: int = 0
    """Different instances that came in, with this job and before."""
    promised: int | None = None
    """How many the headers promise; None where they do not tell, or the job holds no single frame."""
    repeats: str = ""
    """The job that this one converts once more; empty for none."""
    bundle: str = ""
    """The bundle that it is to be converted with; empty for that of the configuration."""
    recipe: str = ""
    """What that bundle was when a person named it, see `receipts.job_id`; empty likewise."""
    by_hand: bool = False
    """Whether a person wants it converted whatever the rules say."""
    calling: str = ""
    """Calling AE title of the first instance."""
    called: str = ""
    """The AE title that it called; empty if unknown."""
    address: str = ""
    """Where it came from; empty if unknown."""
    held: tuple[HeldFile, ...] = ()
    """Who has the files of `paths`, and of what was there before them."""


def inputs_of(db: Connection, job: str) -> Inputs:
    """What a job converts.

    Whole cines are converted one by one: those that came in with the job. Single frames are a run
    together with those of earlier revisions; of two data sets under one UID the later one counts. What is
    converted once more, with another bundle, is the same again and supersedes nothing.
    """
    asked = db.execute("SELECT * FROM jobs WHERE job = ?", [job]).fetchone()
    of = asked["repeats"] or job
    row = db.execute(f"SELECT *, {THERE} AS there FROM jobs WHERE job = ?", [of]).fetchone()
    instances = _instances(db, row)
    before = _predecessor(db, row)
    own = [each for each in instances if each["job"] == of]
    latest = _used(row, instances)
    paths = {uid: Path(each["path"]) for uid, each in latest.items()}
    another = before is not None or row["replaced"]
    return Inputs(
        series_uid=row["series_uid"],
        paths=tuple(paths[uid] for uid in sorted(paths)),
        revision=row["revision"] if another else 1,
        supersedes="" if asked["repeats"] else before or "",
        superseded=() if asked["repeats"] else _superseded(db, row, set(latest)),
        corrected=_corrected(own, instances),
        own=tuple(paths[uid] for uid in sorted({each["sop_uid"] for each in own})),
        removed=sum(each["removed_at"] is not None for each in latest.values()),
        stills=frozenset(paths[uid] for uid, each in latest.items() if each["frames"] == 1),
        there=row["there"],
        promised=row["expected"] if row["stills"] else None,
        repeats=asked["repeats"],
        bundle=asked["bundle"],
        recipe=asked["recipe"],
        by_hand=bool(asked["by_hand"] or asked["bundle"]),
        calling=row["peer"],
        called=own[0]["called"] if own else "",
        address=own[0]["address"] if own else "",
        held=tuple(map(held_instance, _wanted(instances, latest, own))),
    )


def _wanted(instances: Sequence[Row], latest: Mapping[str, Row], own: Sequence[Row]) -> list[Row]:
    """The instances that a job looks at: those that it converts, and those that its own ones correct."""
    uids = {each["sop_uid"] for each in own}
    used = {each["path"] for each in latest.values()}
    return [each for each in instances if each["path"] in used or each["sop_uid"] in uids]


def frames_of(db: Connection, job: str) -> int:
    """How many frames a job is about to convert, as far as the headers tell."""
    row = db.execute("SELECT * FROM jobs WHERE job = ?", [job]).fetchone()
    return sum(each["frames"] for each in _used(row, _instances(db, row)).values())


def _instances(db: Connection, row: Row) -> list[Row]:
    """The instances of a job and of the revisions before it, in the order in which they came in."""
    return db.execute(
        "SELECT instances.*, jobs.revision FROM instances JOIN jobs USING (job)"
        " WHERE jobs.lineage = ? AND jobs.revision <= ? ORDER BY jobs.revision, instances.number",
        [row["lineage"], row["revision"]],
    ).fetchall()


def _used(row: Row, instances: Sequence[Row]) -> dict[str, Row]:
    """What a job converts, by SOP Instance UID: the latest of each."""
    own = [each for each in instances if each["job"] == row["job"]]
    used = own + [each for each in instances if row["stills"] > 0 and each["frames"] == 1]
    return {each["sop_uid"]: each for each in sorted(used, key=_age)}


def _age(instance: Row) -> tuple[int, int]:
    """When an instance came in, as something to sort by."""
    return instance["revision"], instance["number"]


def _corrected(own: Sequence[Row], instances: Sequence[Row]) -> tuple[Corrected, ...]:
    """The instances of a job that an earlier revision had."""
    now = {each["sop_uid"]: Path(each["path"]) for each in own}
    job = own[0]["job"] if own else ""
    before = {each["sop_uid"]: Path(each["path"]) for each in instances if each["job"] != job}
    return tuple(Corrected(uid, before[uid], path) for uid, path in sorted(now.items()) if uid in before)


def _superseded(db: Connection, row: Row, uids: set[str]) -> tuple[Made, ...]:
    """What earlier revisions made last of the instances that a job converts."""
    rows = db.execute(
        "SELECT outbox.* FROM outbox JOIN jobs USING (job)"
        " WHERE jobs.lineage = ? AND jobs.revision < ? AND jobs.repeats = ''"
        " ORDER BY jobs.revision DESC, outbox.sop_uid",
        [row["lineage"], row["revision"]],
    ).fetchall()
    found: dict[str, Made] = {}
    left = set(uids)
    for job in dict.fromkeys(each["job"] for each in rows):
        made = [_made(each) for each in rows if each["job"] == job]
        found |= {one.sop_uid: one for one in made if left.intersection(one.sources)}
        left.difference_update(*(one.sources for one in made))
    return tuple(found.values())


def _made(row: Row) -> Made:
    return Made(row["sop_class_uid"], row["sop_uid"], row["series_uid"], tuple(json.loads(row["sources"])))


def _predecessor(db: Connection, row: Row) -> str | None:
    """Derived series of an earlier revision that a job supersedes; None if it supersedes none.

    A run of single frames supersedes the run before; a whole cine only what was made of another data set
    under its UID.
    """
    if not row["stills"] and not row["replaced"]:
        return None
    found = db.execute(
        "SELECT outbox.series_uid FROM outbox JOIN jobs USING (job)"
        " WHERE jobs.lineage = ? AND jobs.revision < ? AND jobs.repeats = ''"
        " AND CASE WHEN jobs.stills > 0 THEN 1 ELSE 0 END = ?"
        " AND outbox.sop_uid NOT IN (SELECT sop_uid FROM reviews)"
        " ORDER BY jobs.revision DESC LIMIT 1",
        [row["lineage"], row["revision"], row["stills"] > 0],
    ).fetchone()
    return None if found is None else str(found["series_uid"])
