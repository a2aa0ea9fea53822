"""What people think of what a job made: accepted or rejected, and why.

Every verdict about a job is a row that stays; the latest counts. One that says the same as that before it
changes nothing. Where a rule asks for it, a verdict becomes an object that is sent like any other:

    due ─▶ made     the object lies in the outbox of the job, and its deliveries wait again
     ├───▶ none     nothing asks for one
     └───▶ failed   it cannot be made, `why` says for what reason; `casgan-dicom node retry JOB` makes it due

The coordinator makes it (``work/reviewing.py``), from the settings that are in force when it looks.

What a reviewer writes is the only free text in this book. No patient data belongs in it: nobody can check
that, so whoever writes it is told.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from casgan_dicom.derived.review_reasons import OTHER, REASONS
from casgan_dicom.errors import ConfigError, SeriesError
from casgan_dicom.node.state.audit import Audit, Reviewed
from casgan_dicom.node.state.database import Connection, Row
from casgan_dicom.node.state.deliveries import Derived, derived_of, settle
from casgan_dicom.node.state.ledger import Ledger
from casgan_dicom.quoting import printable

Outcome = Literal["accepted", "rejected"]
RecordState = Literal["due", "none", "made", "failed"]
LONGEST_TEXT = 256
"""Most characters of what a reviewer writes."""
LONGEST_NAME = 64
"""Most characters of the name of a reviewer: those of one component group of a PN (PS3.5 6.2)."""
_NOT_IN_NAMES = frozenset("\\^=")
_UNDER_WAY = ("receiving", "queued", "converting")


@dataclass(frozen=True)
class Verdict:
    """What somebody thinks of what a job made."""

    outcome: Outcome
    """``accepted`` or ``rejected``."""
    reason: str = ""
    """Why it is rejected, one of `REASONS`; empty where it is accepted."""
    text: str = ""
    """What else there is to say, one line; no patient data."""
    reviewer: str = ""
    """Who says so; empty where nobody said."""

    def check(self) -> None:
        """Raise ConfigError if it cannot be written down, with everything that is wrong."""
        wrong = [*_wrong_reason(self), *_wrong_words(self)]
        if wrong:
            raise ConfigError(f"verdict: {'; '.join(wrong)}", hint=f"reasons: {', '.join(REASONS)}")


@dataclass(frozen=True)
class Review:
    """A verdict that was written down."""

    job: str
    """About what this job made."""
    number: int
    """Counts the verdicts about it, from 1."""
    verdict: Verdict
    """What was said."""
    at: float
    """When, seconds since 1970."""
    record: RecordState
    """What became of it as an object."""
    why: str
    """Why no object could be made of it; empty otherwise."""
    sop_uid: str
    """SOP Instance UID (0008,0018) of the object; empty where there is none."""


@dataclass(frozen=True)
class Subject:
    """What a verdict is about."""

    rule: str
    """The rule that decided about the job; empty where none did."""
    objects: tuple[Derived, ...]
    """What the job made, objects of verdicts left out."""
    record_before: tuple[str, str]
    """SOP Class and Instance UID of the object of the verdict before that has one; empty for none."""


class Reviews:
    """The verdicts of a ledger.

    Parameters
    ----------
    ledger
        Of the node.
    audit
        Told of every verdict; None for nobody.
    """

    def __init__(self, ledger: Ledger, audit: Audit | None = None) -> None:
        self._ledger = ledger
        self._audit = audit

    def decide(self, job: str, verdict: Verdict, now: float) -> bool:
        """Write down a verdict; False, and nothing is, if the latest about the job says the same.

        Who calls this rings the bell of the coordinator, so that it is taken up at once.

        Raises
        ------
        ConfigError
            There is no such job, or the verdict cannot be written down.
        SeriesError
            The job is still under way, has made nothing, or what it made was removed.
        """
        verdict.check()
        with self._ledger.transaction() as db:
            _check_made(db, job)
            before = reviews_of(db, job)
            if before and before[-1].verdict == verdict:
                return False
            said = [verdict.outcome, verdict.reason, verdict.text, verdict.reviewer]
            db.execute(
                "INSERT INTO reviews (job, number, outcome, reason, text, reviewer, at)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                [job, len(before) + 1, *said, now],
            )
            told = _reviewed(db, job, verdict)
        if self._audit is not None:
            self._audit.reviewed(told)
        return True

    def check(self, job: str) -> None:
        """Raise what `decide` raises about a job of which nothing can be accepted or rejected."""
        with self._ledger.reading() as db:
            _check_made(db, job)

    def of(self, job: str) -> list[Review]:
        """The verdicts about a job, the latest last; none if there is none, or no such job."""
        with self._ledger.reading() as db:
            return reviews_of(db, job)

    def due(self, host: str = "") -> list[Review]:
        """Verdicts about which nobody has decided yet whether they become objects, the oldest first.

        Those about what `host` has made: it has the files.
        """
        with self._ledger.reading() as db:
            rows = db.execute(
                "SELECT * FROM reviews WHERE record = 'due'"
                " AND EXISTS (SELECT 1 FROM outbox WHERE outbox.job = reviews.job AND outbox.host = ?)"
                " ORDER BY at, job, number",
                [host],
            )
            return [_review(row) for row in rows.fetchall()]

    def subject(self, review: Review) -> Subject:
        """What a verdict is about."""
        key = [review.job, review.number]
        with self._ledger.reading() as db:
            (rule,) = db.execute("SELECT rule FROM jobs WHERE job = ?", [review.job]).fetchone()
            rows = db.execute(
                "SELECT * FROM outbox WHERE job = ? AND sop_uid NOT IN (SELECT sop_uid FROM reviews)"
                " ORDER BY path",
                [review.job],
            ).fetchall()
            before = db.execute(
                "SELECT outbox.sop_class_uid, outbox.sop_uid FROM reviews JOIN outbox USING (sop_uid)"
                " WHERE reviews.job = ? AND reviews.number < ? ORDER BY reviews.number DESC LIMIT 1",
                key,
            ).fetchone()
        record = ("", "") if before is None else (before["sop_class_uid"], before["sop_uid"])
        return Subject(rule, tuple(map(derived_of, rows)), record)

    def waive(self, review: Review) -> None:
        """Nothing asks for an object of a verdict."""
        self._end(review, "none")

    def fail(self, review: Review, why: str) -> None:
        """No object can be made of a verdict."""
        self._end(review, "failed", why)

    def _end(self, review: Review, record: RecordState, why: str = "") -> None:
        with self._ledger.transaction() as db:
            db.execute(
                "UPDATE reviews SET record = ?, why = ? WHERE job = ? AND number = ? AND record = 'due'",
                [record, why, review.job, review.number],
            )

    def made(self, review: Review, derived: Derived, now: float) -> None:
        """Enter the object of a verdict, and let it be delivered where the others of its job go.

        A delivery that was cancelled, or is a dead letter, waits for `casgan-dicom node retry`, which sends
        the object too.
        """
        with self._ledger.transaction() as db:
            done = db.execute(
                "UPDATE reviews SET record = 'made', why = '', sop_uid = ?"
                " WHERE job = ? AND number = ? AND record = 'due'",
                [derived.sop_uid, review.job, review.number],
            )
            if done.rowcount == 1:
                _deliver(db, review.job, derived, now)

    def retry(self, jobs: Sequence[str]) -> list[str]:
        """Let verdicts become objects that could not, all of them if `jobs` is empty; returns their jobs."""
        with self._ledger.transaction() as db:
            rows = db.execute(
                "SELECT DISTINCT job FROM reviews JOIN jobs USING (job) WHERE record = 'failed'"
                " AND jobs.removing_at IS NULL AND jobs.removed_at IS NULL ORDER BY job"
            ).fetchall()
            chosen = [row["job"] for row in rows if not jobs or row["job"] in jobs]
            for job in chosen:
                db.execute(
                    "UPDATE reviews SET record = 'due', why = '' WHERE job = ? AND record = 'failed'", [job]
                )
        return chosen


def reviews_of(db: Connection, job: str) -> list[Review]:
    """The verdicts about a job, the latest last."""
    rows = db.execute("SELECT * FROM reviews WHERE job = ? ORDER BY number", [job]).fetchall()
    return [_review(row) for row in rows]


def _wrong_reason(verdict: Verdict) -> list[str]:
    if verdict.outcome == "accepted":
        return ["what is accepted has no reason"] if verdict.reason else []
    if verdict.reason not in REASONS:
        return ["what is rejected needs one of the reasons"]
    return ["the reason 'other' needs a text"] if verdict.reason == OTHER and not verdict.text else []


def _wrong_words(verdict: Verdict) -> list[str]:
    wrong = []
    for name, words, longest in (
        ("text", verdict.text, LONGEST_TEXT),
        ("name of the reviewer", verdict.reviewer, LONGEST_NAME),
    ):
        if len(words) > longest:
            wrong.append(f"the {name} has {len(words)} characters, {longest} are the most")
        if words != printable(words).strip():
            wrong.append(f"the {name} is not one line of printable characters without spaces around it")
    if _NOT_IN_NAMES.intersection(verdict.reviewer):
        wrong.append("the name of the reviewer has one of the characters \\ ^ =")
    return wrong


def _check_made(db: Connection, job: str) -> None:
    """Raise ConfigError or SeriesError unless there is something of a job to look at."""
    row = db.execute(
        "SELECT *, EXISTS (SELECT 1 FROM outbox WHERE outbox.job = jobs.job) AS made FROM jobs WHERE job = ?",
        [job],
    ).fetchone()
    if row is None:
        raise ConfigError(f"no job {printable(job)}", hint="`casgan-dicom node jobs` lists the ids")
    if row["state"] in _UNDER_WAY:
        raise SeriesError(
            f"job {job} is {row['state']}: there is nothing to accept or reject yet",
            hint="wait for its end",
        )
    if row["removed_at"] is not None or row["removing_at"] is not None:
        raise SeriesError(
            f"job {job}: what it made was removed by retention",
            hint="send the series again, and convert it once more",
        )
    if not row["made"]:
        raise SeriesError(
            f"job {job} is {row['state']} and has made nothing: there is nothing to accept or reject",
            hint="`casgan-dicom node jobs` says why",
        )


def _deliver(db: Connection, job: str, derived: Derived, now: float) -> None:
    """Put an object into the outbox of a job that has been delivered, or is about to be."""
    db.execute(
        "INSERT INTO outbox (sop_uid, job, series_uid, path, sha256, frames, sop_class_uid, sources, host)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (sop_uid) DO NOTHING",
        [
            derived.sop_uid, job, derived.series_uid, str(derived.path), derived.sha256, derived.frames,
            derived.sop_class_uid, json.dumps(derived.sources), derived.host,
        ],
    )  # fmt: skip
    # A run that is under way may have read what is outstanding before: so this is another.
    again = db.execute(
        "UPDATE deliveries SET state = 'waiting', run = run + 1, attempts = 0, resends = 0, reason = '',"
        " first_at = NULL, next_at = NULL, changed_at = ?"
        " WHERE job = ? AND state IN ('waiting', 'committing', 'sent')",
        [now, job],
    )
    if again.rowcount:
        settle(db, job, now)


def _reviewed(db: Connection, job: str, verdict: Verdict) -> Reviewed:
    """What the audit trail is told; what a reviewer wrote stays here."""
    rows = db.execute(
        "SELECT DISTINCT study_uid FROM instances JOIN jobs ON instances.job ="
        " CASE jobs.repeats WHEN '' THEN jobs.job ELSE jobs.repeats END"
        " WHERE jobs.job = ? AND study_uid != '' ORDER BY study_uid",
        [job],
    ).fetchall()
    (made,) = db.execute("SELECT count(*) FROM outbox WHERE job = ?", [job]).fetchone()
    studies = [row["study_uid"] for row in rows]
    return Reviewed(job, studies, made, verdict.outcome, verdict.reason, verdict.reviewer)


def _review(row: Row) -> Review:
    return Review(
        job=row["job"],
        number=row["number"],
        verdict=Verdict(row["outcome"], row["reason"], row["text"], row["reviewer"]),
        at=row["at"],
        record=row["record"],
        why=row["why"],
        sop_uid=row["sop_uid"],
    )
