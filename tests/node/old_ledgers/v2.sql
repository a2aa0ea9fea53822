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
    first_at REAL NOT NULL,
    last_at REAL NOT NULL,
    changed_at REAL NOT NULL,
    UNIQUE (series_uid, revision)
) STRICT;
CREATE INDEX jobs_state ON jobs (state);

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
    PRIMARY KEY (sop_uid, sha256)
) STRICT;
CREATE INDEX instances_series ON instances (series_uid);

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
    first_at REAL,
    next_at REAL,
    changed_at REAL NOT NULL,
    PRIMARY KEY (job, destination)
) STRICT;
CREATE INDEX deliveries_state ON deliveries (state);

CREATE TABLE stores (
    sop_uid TEXT NOT NULL,
    destination TEXT NOT NULL,
    requests INTEGER NOT NULL DEFAULT 0,
    status INTEGER,
    stored_at REAL,
    PRIMARY KEY (sop_uid, destination)
) STRICT;

CREATE TABLE processes (
    role TEXT PRIMARY KEY,
    pid INTEGER NOT NULL,
    started_at REAL NOT NULL
) STRICT;

PRAGMA user_version = 2;
