"""The tables of the ledger, and how those of earlier versions become them; no code.

They are written as SQLite takes them, and become those of PostgreSQL by the names of their types
(``postgres_sql.py``). There was none on PostgreSQL before version 4.

Whoever changes a table raises `SCHEMA`, adds a step from the version before, and keeps that version's tables
in ``tests/node/old_ledgers/``.
"""

from __future__ import annotations

SCHEMA = 4
"""Version of the tables."""

_OF_COMMITMENT = """
CREATE TABLE commitments (
    transaction_uid TEXT PRIMARY KEY,
    job TEXT NOT NULL,
    destination TEXT NOT NULL,
    run INTEGER NOT NULL,
    state TEXT NOT NULL,
    asked_at REAL NOT NULL,
    changed_at REAL NOT NULL
) STRICT;
CREATE INDEX commitments_delivery ON commitments (job, destination, run);

CREATE TABLE promises (
    peer TEXT NOT NULL,
    transaction_uid TEXT NOT NULL,
    address TEXT NOT NULL,
    state TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    reason TEXT NOT NULL DEFAULT '',
    asked_at REAL NOT NULL,
    next_at REAL,
    changed_at REAL NOT NULL,
    PRIMARY KEY (peer, transaction_uid)
) STRICT;
CREATE INDEX promises_state ON promises (state);

CREATE TABLE promised (
    peer TEXT NOT NULL,
    transaction_uid TEXT NOT NULL,
    sop_class_uid TEXT NOT NULL,
    sop_uid TEXT NOT NULL,
    number INTEGER NOT NULL,
    PRIMARY KEY (peer, transaction_uid, sop_uid, sop_class_uid)
) STRICT;
CREATE INDEX promised_instance ON promised (sop_uid);
"""
_OF_REVIEWS = """
CREATE TABLE reviews (
    job TEXT NOT NULL REFERENCES jobs (job),
    number INTEGER NOT NULL,
    outcome TEXT NOT NULL,
    reason TEXT NOT NULL DEFAULT '',
    text TEXT NOT NULL DEFAULT '',
    reviewer TEXT NOT NULL DEFAULT '',
    at REAL NOT NULL,
    record TEXT NOT NULL DEFAULT 'due',
    why TEXT NOT NULL DEFAULT '',
    sop_uid TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (job, number)
) STRICT;
CREATE INDEX reviews_record ON reviews (record);
"""
_OF_FIGURES = """
CREATE TABLE measurements (
    job TEXT NOT NULL REFERENCES jobs (job),
    run INTEGER NOT NULL,
    number INTEGER NOT NULL,
    frames INTEGER,
    seconds REAL,
    score REAL,
    PRIMARY KEY (job, run, number)
) STRICT;

CREATE TABLE deaths (
    role TEXT PRIMARY KEY,
    count INTEGER NOT NULL,
    last_at REAL NOT NULL
) STRICT;

CREATE INDEX jobs_by_state ON jobs (state, priority, changed_at);
CREATE INDEX instances_received ON instances (peer, received_at, bytes);
CREATE INDEX deliveries_by_destination ON deliveries (destination, state, failures);
"""
_NOTICES = """
CREATE TABLE notices (
    target TEXT NOT NULL,
    event TEXT NOT NULL,
    about TEXT NOT NULL,
    level INTEGER NOT NULL,
    text TEXT NOT NULL,
    since REAL NOT NULL,
    told_at REAL,
    told_level INTEGER NOT NULL DEFAULT 0,
    gone_at REAL,
    PRIMARY KEY (target, event, about)
) STRICT;
"""
_OF_HOSTS = """
ALTER TABLE jobs ADD COLUMN host TEXT NOT NULL DEFAULT '';
ALTER TABLE jobs ADD COLUMN device TEXT NOT NULL DEFAULT '';
ALTER TABLE instances ADD COLUMN host TEXT NOT NULL DEFAULT '';
ALTER TABLE quarantine ADD COLUMN host TEXT NOT NULL DEFAULT '';
ALTER TABLE outbox ADD COLUMN host TEXT NOT NULL DEFAULT '';
ALTER TABLE deliveries ADD COLUMN host TEXT NOT NULL DEFAULT '';

CREATE TABLE leases (
    name TEXT PRIMARY KEY,
    holder TEXT NOT NULL,
    token INTEGER NOT NULL,
    until REAL NOT NULL
) STRICT;

CREATE TABLE hosts (
    name TEXT PRIMARY KEY,
    address TEXT NOT NULL,
    roles TEXT NOT NULL,
    devices TEXT NOT NULL,
    program TEXT NOT NULL,
    ledger INTEGER NOT NULL,
    workflows TEXT NOT NULL,
    started_at REAL NOT NULL,
    seen_at REAL NOT NULL
) STRICT;

CREATE TABLE removals (
    job TEXT NOT NULL REFERENCES jobs (job),
    host TEXT NOT NULL,
    PRIMARY KEY (job, host)
) STRICT;
"""
"""Several hosts on one ledger: who has a file, does a job, may decide, and has files that are still to go."""
_TABLES = """
CREATE TABLE jobs (
    job TEXT PRIMARY KEY,
    series_uid TEXT NOT NULL,
    revision INTEGER NOT NULL,
    lineage TEXT NOT NULL DEFAULT '',
    state TEXT NOT NULL,
    reasons TEXT NOT NULL DEFAULT '[]',
    peer TEXT NOT NULL,
    expected INTEGER,
    instances INTEGER NOT NULL DEFAULT 0,
    stills INTEGER NOT NULL DEFAULT 0,
    replaced INTEGER NOT NULL DEFAULT 0,
    run INTEGER NOT NULL DEFAULT 1,
    enqueued INTEGER NOT NULL DEFAULT 0,
    place TEXT NOT NULL DEFAULT '',
    deaths INTEGER NOT NULL DEFAULT 0,
    priority TEXT NOT NULL DEFAULT '',
    recipe TEXT NOT NULL DEFAULT '',
    repeats TEXT NOT NULL DEFAULT '',
    bundle TEXT NOT NULL DEFAULT '',
    rule TEXT NOT NULL DEFAULT '',
    by_hand INTEGER NOT NULL DEFAULT 0,
    first_at REAL NOT NULL,
    last_at REAL NOT NULL,
    changed_at REAL NOT NULL,
    removing_at REAL,
    removed_at REAL,
    UNIQUE (series_uid, revision)
) STRICT;

CREATE TABLE instances (
    sop_uid TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    job TEXT NOT NULL REFERENCES jobs (job),
    series_uid TEXT NOT NULL,
    study_uid TEXT NOT NULL DEFAULT '',
    subject TEXT NOT NULL DEFAULT '',
    path TEXT NOT NULL UNIQUE,
    bytes INTEGER NOT NULL,
    frames INTEGER NOT NULL,
    peer TEXT NOT NULL,
    address TEXT NOT NULL,
    received_at REAL NOT NULL,
    copies INTEGER NOT NULL DEFAULT 1,
    removed_at REAL,
    called TEXT NOT NULL DEFAULT '',
    number INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (sop_uid, sha256)
) STRICT;
CREATE INDEX instances_series ON instances (series_uid);
CREATE UNIQUE INDEX instances_number ON instances (number);

CREATE TABLE quarantine (
    path TEXT PRIMARY KEY,
    sop_uid TEXT NOT NULL,
    reason TEXT NOT NULL,
    peer TEXT NOT NULL,
    address TEXT NOT NULL,
    at REAL NOT NULL
) STRICT;

CREATE TABLE outbox (
    sop_uid TEXT PRIMARY KEY,
    job TEXT NOT NULL REFERENCES jobs (job),
    series_uid TEXT NOT NULL,
    path TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    frames INTEGER NOT NULL,
    sop_class_uid TEXT NOT NULL DEFAULT '',
    sources TEXT NOT NULL DEFAULT '[]'
) STRICT;
CREATE INDEX outbox_job ON outbox (job);

CREATE TABLE deliveries (
    job TEXT NOT NULL REFERENCES jobs (job),
    destination TEXT NOT NULL,
    state TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    reason TEXT NOT NULL DEFAULT '',
    run INTEGER NOT NULL DEFAULT 1,
    enqueued INTEGER NOT NULL DEFAULT 0,
    resends INTEGER NOT NULL DEFAULT 0,
    first_at REAL,
    next_at REAL,
    changed_at REAL NOT NULL,
    failures INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (job, destination)
) STRICT;
CREATE INDEX deliveries_state ON deliveries (state);

CREATE TABLE stores (
    sop_uid TEXT NOT NULL,
    destination TEXT NOT NULL,
    requests INTEGER NOT NULL DEFAULT 0,
    status INTEGER,
    stored_at REAL,
    committed_at REAL,
    PRIMARY KEY (sop_uid, destination)
) STRICT;

CREATE TABLE processes (
    role TEXT PRIMARY KEY,
    pid INTEGER NOT NULL,
    started_at REAL NOT NULL
) STRICT;

CREATE TABLE rejections (
    reason TEXT PRIMARY KEY,
    count INTEGER NOT NULL,
    last_at REAL NOT NULL
) STRICT;

CREATE TABLE pauses (
    what TEXT NOT NULL,
    name TEXT NOT NULL,
    at REAL NOT NULL,
    PRIMARY KEY (what, name)
) STRICT;
"""

_FROM_1 = """
ALTER TABLE jobs ADD COLUMN lineage TEXT NOT NULL DEFAULT '';
UPDATE jobs SET lineage =
    (SELECT job FROM jobs AS first WHERE first.series_uid = jobs.series_uid ORDER BY revision LIMIT 1);
ALTER TABLE instances ADD COLUMN study_uid TEXT NOT NULL DEFAULT '';
ALTER TABLE instances ADD COLUMN subject TEXT NOT NULL DEFAULT '';
ALTER TABLE outbox ADD COLUMN sop_class_uid TEXT NOT NULL DEFAULT '';
ALTER TABLE outbox ADD COLUMN sources TEXT NOT NULL DEFAULT '[]';
"""
_FROM_2 = """
ALTER TABLE jobs ADD COLUMN priority TEXT NOT NULL DEFAULT '';
ALTER TABLE jobs ADD COLUMN recipe TEXT NOT NULL DEFAULT '';
ALTER TABLE jobs ADD COLUMN repeats TEXT NOT NULL DEFAULT '';
ALTER TABLE jobs ADD COLUMN bundle TEXT NOT NULL DEFAULT '';
UPDATE jobs SET priority = 'routine' WHERE state != 'receiving';
"""
_FROM_3 = (
    """
ALTER TABLE jobs ADD COLUMN removing_at REAL;
ALTER TABLE jobs ADD COLUMN removed_at REAL;
ALTER TABLE jobs ADD COLUMN rule TEXT NOT NULL DEFAULT '';
ALTER TABLE jobs ADD COLUMN by_hand INTEGER NOT NULL DEFAULT 0;
ALTER TABLE instances ADD COLUMN removed_at REAL;
ALTER TABLE instances ADD COLUMN called TEXT NOT NULL DEFAULT '';
ALTER TABLE instances ADD COLUMN number INTEGER NOT NULL DEFAULT 0;
UPDATE instances SET number = rowid;
CREATE UNIQUE INDEX instances_number ON instances (number);
ALTER TABLE deliveries ADD COLUMN resends INTEGER NOT NULL DEFAULT 0;
ALTER TABLE deliveries ADD COLUMN failures INTEGER NOT NULL DEFAULT 0;
ALTER TABLE stores ADD COLUMN committed_at REAL;
DROP INDEX jobs_state;
CREATE TABLE rejections (
    reason TEXT PRIMARY KEY,
    count INTEGER NOT NULL,
    last_at REAL NOT NULL
) STRICT;
CREATE TABLE pauses (
    what TEXT NOT NULL,
    name TEXT NOT NULL,
    at REAL NOT NULL,
    PRIMARY KEY (what, name)
) STRICT;
"""
    + _OF_COMMITMENT
    + _OF_REVIEWS
    + _OF_FIGURES
    + _NOTICES
    + _OF_HOSTS
)
MAKING = {
    0: _TABLES + _OF_COMMITMENT + _OF_REVIEWS + _OF_FIGURES + _NOTICES + _OF_HOSTS,
    1: _FROM_1 + _FROM_2 + _FROM_3,
    2: _FROM_2 + _FROM_3,
    3: _FROM_3,
}
"""What makes the tables of each version those of this one; what they did not hold stays empty: unknown."""
