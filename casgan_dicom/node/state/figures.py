"""What a node can be measured by, in numbers: counted in the ledger at the moment when somebody asks.

Nothing is counted in memory, so nothing is lost with a process; what only grows here may be read as a
counter. Every question is answered from an index or a narrow table: a program that watches asks again and
again (`tests/bench/bench_metrics.py` has the figures).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from casgan_dicom.node.state.database import Connection, Row
from casgan_dicom.node.state.ledger import Ledger
from casgan_dicom.node.state.processes import role_at, roles_at
from casgan_dicom.node.state.removals import FINAL

FRAME_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Bounds by which seconds for a frame are counted."""
SCORES = (0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 4.0)
"""Bounds by which out-of-domain scores are counted."""


@dataclass(frozen=True)
class Received:
    """What came from one sender, without what was there already."""

    instances: int
    """How many instances."""
    bytes: int
    """Their length."""
    last_at: float
    """When the last came in, seconds since 1970."""


@dataclass(frozen=True)
class Spread:
    """How values lie."""

    count: int
    """How many there are."""
    sum: float
    """Of all."""
    up_to: tuple[int, ...]
    """How many are not above each bound."""


@dataclass(frozen=True)
class Sent:
    """What goes to one destination."""

    states: dict[str, int]
    """Deliveries by state."""
    failures: int
    """Attempts that did not bring everything there."""
    waits_since: float | None
    """When the oldest delivery that waits was first tried, or else entered; None if none waits."""


@dataclass(frozen=True)
class Figures:
    """A ledger in numbers."""

    received: dict[str, Received]
    """By what the senders call themselves."""
    rejected: dict[str, int]
    """Who was not let in, by reason."""
    quarantined: int
    """Data sets in quarantine."""
    jobs: dict[tuple[str, str], int]
    """By state and priority; that is empty while nobody has said one."""
    oldest: dict[str, float]
    """When the job changed last that is longest in a state, of the states that end."""
    sent: dict[str, Sent]
    """By destination."""
    frames: int
    """Converted, in all."""
    seconds: float
    """That took."""
    frame_seconds: Spread
    """Seconds for a frame, a value for each cine."""
    scores: Spread
    """Out-of-domain scores, a value for each cine that was judged."""
    paused: frozenset[tuple[str, str]]
    """What is paused, and its name: see ``pauses.py``."""
    processes: frozenset[str]
    """Roles that the supervisor has noted as running."""
    deaths: dict[str, int]
    """How often a process died and was started again, by role."""


def figures(ledger: Ledger, host: str = "") -> Figures:
    """Count what there is; processes are those of one host. Raises LedgerError."""
    with ledger.reading() as db:
        deaths = {role_at(row["role"]): row["count"] for row in db.execute("SELECT * FROM deaths")}
        jobs, oldest = _jobs(db)
        frames, seconds, frame_seconds = _conversions(db)
        return Figures(
            received=_received(db),
            rejected={row["reason"]: row["count"] for row in db.execute("SELECT * FROM rejections")},
            quarantined=db.execute("SELECT count(*) AS n FROM quarantine").fetchone()["n"],
            jobs=jobs,
            oldest=oldest,
            sent=_sent(db),
            frames=frames,
            seconds=seconds,
            frame_seconds=frame_seconds,
            scores=_scores(db),
            paused=frozenset((row["what"], row["name"]) for row in db.execute("SELECT * FROM pauses")),
            processes=frozenset(roles_at(db, host)),
            deaths={role: count for (at, role), count in deaths.items() if at == host},
        )


def _received(db: Connection) -> dict[str, Received]:
    rows = db.execute(
        "SELECT peer, count(*) AS n, sum(bytes) AS length, max(received_at) AS last_at"
        " FROM instances GROUP BY peer"
    )
    return {row["peer"]: Received(row["n"], int(row["length"]), row["last_at"]) for row in rows}


def _jobs(db: Connection) -> tuple[dict[tuple[str, str], int], dict[str, float]]:
    """How many jobs there are by state and priority, and since when the oldest of each state is in it."""
    counts: dict[tuple[str, str], int] = {}
    oldest: dict[str, float] = {}
    for row in db.execute(
        "SELECT state, priority, count(*) AS n, min(changed_at) AS since FROM jobs GROUP BY state, priority"
    ):
        counts[row["state"], row["priority"]] = row["n"]
        if row["state"] not in FINAL:
            oldest[row["state"]] = min(row["since"], oldest.get(row["state"], row["since"]))
    return counts, oldest


def _sent(db: Connection) -> dict[str, Sent]:
    states: dict[str, dict[str, int]] = {}
    failures: dict[str, int] = {}
    for row in db.execute(
        "SELECT destination, state, count(*) AS n, sum(failures) AS failed FROM deliveries"
        " GROUP BY destination, state"
    ):
        name = row["destination"]
        states.setdefault(name, {})[row["state"]] = row["n"]
        failures[name] = failures.get(name, 0) + int(row["failed"])
    waiting = db.execute(
        "SELECT destination, min(coalesce(first_at, changed_at)) AS since FROM deliveries"
        " WHERE state IN ('waiting', 'committing') GROUP BY destination"
    )
    since = {row["destination"]: row["since"] for row in waiting}
    return {name: Sent(states[name], failures[name], since.get(name)) for name in states}


def _conversions(db: Connection) -> tuple[int, float, Spread]:
    """Frames, seconds, and how seconds for a frame lie."""
    row = db.execute(
        f"SELECT sum(frames) AS frames, sum(seconds) AS seconds,"
        f" {_columns('seconds / frames', FRAME_SECONDS)} FROM measurements WHERE frames > 0"
    ).fetchone()
    return int(row["frames"] or 0), float(row["seconds"] or 0), _spread(row, FRAME_SECONDS)


def _scores(db: Connection) -> Spread:
    row = db.execute(
        f"SELECT {_columns('score', SCORES)} FROM measurements WHERE score IS NOT NULL"
    ).fetchone()
    return _spread(row, SCORES)


def _columns(value: str, bounds: Sequence[float]) -> str:
    """Columns that `_spread` reads, of an expression."""
    below = (
        f"sum(CASE WHEN {value} <= {bound} THEN 1 ELSE 0 END) AS up_to_{k}" for k, bound in enumerate(bounds)
    )
    return ", ".join((f"count(*) AS n, sum({value}) AS total", *below))


def _spread(row: Row, bounds: Sequence[float]) -> Spread:
    up_to = tuple(int(row[f"up_to_{k}"] or 0) for k in range(len(bounds)))
    return Spread(row["n"], float(row["total"] or 0), up_to)
