"""A ledger of an older version is kept as it was, before anything of it changes."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from stat import S_IMODE

import pytest

from casgan_dicom.errors import ConfigError
from casgan_dicom.node.state.ledger import Ledger
from casgan_dicom.node.state.ledger_tables import SCHEMA
from casgan_dicom.node.state.overview import list_jobs, list_quarantine
from tests.faults.test_full_disk import mount_namespace
from tests.node.state.test_ledger import OLD

VERSIONS = sorted(int(path.stem[1:]) for path in OLD.glob("v*.sql"))
ROWS = (
    "INSERT INTO jobs (job, series_uid, revision, state, peer, stills, first_at, last_at, changed_at)"
    " VALUES ('j', '1.2', 1, 'done', 'X', 1, 1, 2, 3)",
    "INSERT INTO instances (sop_uid, sha256, job, series_uid, path, bytes, frames, peer, address,"
    " received_at) VALUES ('1.2.3', 'ab', 'j', '1.2', '/spool/1.2/a.dcm', 10, 1, 'X', '127.0.0.1', 1)",
    "INSERT INTO quarantine VALUES ('/quarantine/q.dcm', '', 'cut short', 'X', '127.0.0.1', 1)",
    "INSERT INTO outbox (sop_uid, job, series_uid, path, sha256, frames)"
    " VALUES ('1.3', 'j', '1.4', '/outbox/j/a.dcm', 'cd', 1)",
    "INSERT INTO deliveries (job, destination, state, changed_at) VALUES ('j', 'pacs', 'sent', 3)",
    "INSERT INTO stores VALUES ('1.3', 'pacs', 1, 0, 3)",
    "INSERT INTO processes VALUES ('listener', 1, 1)",
)
"""A row in every table, as any version takes it."""

OPENING = """
import os, signal, sys
from pathlib import Path
from casgan_dicom.node.state import ledger, sqlite_database

path, moment = Path(sys.argv[1]), sys.argv[2]
connect = sqlite_database._connected

def kill(text):
    if text.strip().startswith(moment):
        os.kill(os.getpid(), signal.SIGKILL)

def traced(path):
    db = connect(path)
    db.set_trace_callback(kill)
    return db

def rename(self, target):
    os.kill(os.getpid(), signal.SIGKILL)

if moment == "rename":
    Path.rename = rename
else:
    sqlite_database._connected = traced
ledger.Ledger(path)
"""


@pytest.fixture(params=VERSIONS)
def version(request: pytest.FixtureRequest) -> int:
    number = request.param
    assert isinstance(number, int)
    return number


@pytest.fixture
def old(tmp_path: Path, version: int) -> Iterator[Path]:
    """A ledger of an older version with a row in every table, part of it in the log beside it."""
    path = tmp_path / "node.sqlite"
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode = WAL")
        db.executescript((OLD / f"v{version}.sql").read_text())
        db.execute("PRAGMA wal_autocheckpoint = 0")
        for row in ROWS:
            db.execute(row)
        yield path


def contents(path: Path) -> dict[str, list[tuple[object, ...]]]:
    """Every row of every table of an SQLite file."""
    with closing(sqlite3.connect(path)) as db:
        names = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {name: db.execute(f"SELECT * FROM {name}").fetchall() for name in names}


def version_of(path: Path) -> int:
    with closing(sqlite3.connect(path)) as db:
        (number,) = db.execute("PRAGMA user_version").fetchone()
    assert isinstance(number, int)
    return number


def backups(path: Path) -> list[Path]:
    return sorted(path.parent.glob("*.bak"))


def test_every_version_before_this_one_is_tried_here() -> None:
    assert list(range(1, SCHEMA)) == VERSIONS


def test_the_backup_holds_the_ledger_as_it_was_and_the_ledger_goes_on(old: Path, version: int) -> None:
    before = contents(old)
    assert all(before.values())

    ledger = Ledger(old)

    (backup,) = backups(old)
    assert backup.name.startswith(f"node.sqlite.v{version}-")
    assert (version_of(backup), version_of(old)) == (version, SCHEMA)
    assert contents(backup) == before
    assert S_IMODE(backup.stat().st_mode) == 0o600
    assert [path.name for path in backup.parent.glob(f"{backup.name}*")] == [backup.name]
    (row,) = list_jobs(ledger)
    assert (row.job, row.state, row.deliveries[0].state, row.derived) == (
        "j",
        "done",
        "sent",
        ("/outbox/j/a.dcm",),
    )
    assert [each.reason for each in list_quarantine(ledger)] == ["cut short"]
    ledger.close()


def test_a_ledger_of_this_version_and_a_new_one_are_not_copied(tmp_path: Path) -> None:
    for _ in range(2):
        Ledger(tmp_path / "node.sqlite").close()

    assert backups(tmp_path / "node.sqlite") == []


def test_of_many_who_open_it_at_once_one_makes_a_backup(old: Path, version: int) -> None:
    opening = (
        "import sys; from pathlib import Path; from casgan_dicom.node.state.ledger import Ledger; input();"
    )
    command = [sys.executable, "-c", f"{opening} Ledger(Path(sys.argv[1]))", str(old)]
    several = [subprocess.Popen(command, stdin=subprocess.PIPE) for _ in range(4)]

    for each in several:
        assert each.stdin is not None
        each.stdin.write(b"\n")
        each.stdin.close()

    assert [each.wait(60) for each in several] == [0] * 4
    assert len(backups(old)) == 1
    assert version_of(old) == SCHEMA


@pytest.mark.parametrize(
    "moment",
    ["rename", "ALTER TABLE instances ADD COLUMN removed_at", f"PRAGMA user_version = {SCHEMA}", "COMMIT"],
)
def test_whoever_is_killed_in_the_middle_leaves_a_ledger_that_opens(
    old: Path, version: int, moment: str
) -> None:
    before = contents(old)
    killed = subprocess.run([sys.executable, "-c", OPENING, str(old), moment], check=False)
    assert killed.returncode == -signal.SIGKILL

    assert (version_of(old), contents(old)) == (version, before)
    Ledger(old).close()

    assert version_of(old) == SCHEMA
    assert list(old.parent.glob("*.part*")) == []
    assert backups(old)
    for backup in backups(old):
        assert (version_of(backup), contents(backup)) == (version, before)


FULL = 'mount -t tmpfs -o size=2m none "$0" && cp "$1"/node.sqlite* "$0" && shift && exec "$@"'
FILL_AND_OPEN = """
import sqlite3
import sys
from pathlib import Path
from casgan_dicom.errors import ConfigError
from casgan_dicom.node.state.ledger import Ledger
from tests.node.state.test_backup import backups, contents, version_of

path, version = Path(sys.argv[1]) / "node.sqlite", int(sys.argv[2])
keep = sqlite3.connect(path)
before = contents(path)
assert keep.execute("SELECT count(*) FROM jobs").fetchone() == (1,)
with open(path.with_name("ballast"), "wb", buffering=0) as file:
    try:
        while file.write(bytes(512)):
            pass
    except OSError:
        pass
try:
    Ledger(path)
except ConfigError as error:
    assert f"version {version} stays as it is" in error.message, error.message
    assert (version_of(path), contents(path)) == (version, before)
    assert [each.name for each in path.parent.glob("*.v*")] == []
else:
    raise SystemExit("the ledger was opened")
path.with_name("ballast").unlink()
Ledger(path).close()
assert len(backups(path)) == 1
"""


def test_on_a_full_disk_the_ledger_stays_as_it_is(old: Path, version: int, tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    check = [sys.executable, "-c", FILL_AND_OPEN, str(small), str(version)]
    command = [*mount_namespace(), "sh", "-c", FULL, str(small), str(old.parent), *check]

    tried = subprocess.run(command, check=False, env=os.environ | {"PYTHONPATH": str(OLD.parents[2])})

    assert tried.returncode == 0


def test_a_folder_in_the_place_of_the_file_is_an_error_with_its_name(tmp_path: Path) -> None:
    (tmp_path / "node.sqlite").mkdir()

    with pytest.raises(ConfigError, match=r"node\.sqlite"):
        Ledger(tmp_path / "node.sqlite")
