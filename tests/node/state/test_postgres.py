"""What only a ledger in PostgreSQL can meet: a real server that is away, old, careless, or says no."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from casgan_dicom.errors import ConfigError
from casgan_dicom.log import error_facts
from casgan_dicom.node.settings import NodeSettings
from casgan_dicom.node.state.books import open_ledger
from casgan_dicom.node.state.database import Connection
from casgan_dicom.node.state.jobs import JobList
from casgan_dicom.node.state.ledger import Ledger, LedgerError, UncertainError
from casgan_dicom.node.state.ledger_tables import SCHEMA
from casgan_dicom.node.state.postgres_place import PostgresPlace
from casgan_dicom.node.state.postgres_server import Server, check, connect, look_at
from casgan_dicom.node.state.processes import Processes
from casgan_dicom.node.state.receipts import Receipts
from casgan_dicom.node.state.workflow_engine import engine_of
from tests.node.ledgers import received
from tests.node.tables import rows_in
from tests.support import waiting
from tests.support.postgres import PASSWORD, ROLE, Postgres, running_postgres

GOOD = Server(150_006, "UTF8", flushes=True, read_only=False)


@pytest.fixture
def place(postgres: Postgres) -> PostgresPlace:
    return postgres.place()


@pytest.fixture
def ledger(place: PostgresPlace) -> Iterator[Ledger]:
    opened = Ledger(place)
    yield opened
    opened.close()


def backends(postgres: Postgres, do: str = "count(*)") -> int:
    """How many connections of the node there are; or what is done with each."""
    with psycopg.connect(
        host=str(postgres.folder), port=postgres.port, user="postgres", dbname="postgres"
    ) as connection:
        row = connection.execute(
            f"SELECT {do} FROM pg_stat_activity WHERE application_name = 'casgan-dicom'"
        ).fetchone()
    return 0 if row is None else int(row[0])


def lost(postgres: Postgres) -> None:
    """Let the server end every connection of the node."""
    backends(postgres, "count(pg_terminate_backend(pid))")
    waiting.wait_for(lambda: backends(postgres) == 0, "the end of all connections", 60)


# Whether it can be used.


@pytest.mark.parametrize(
    ("server", "wanted"),
    [
        (replace(GOOD, version=130_014), r"is PostgreSQL 13\.14, want 14 or newer"),
        (replace(GOOD, version=90_624), "want 14 or newer"),
        (replace(GOOD, encoding="SQL_ASCII"), "encoding is SQL_ASCII, want UTF8"),
        (replace(GOOD, flushes=False), "fsync or full_page_writes off"),
        (replace(GOOD, read_only=True), "standby or read only"),
    ],
)
def test_a_server_that_cannot_keep_books_is_refused_by_key(server: Server, wanted: str) -> None:
    check(GOOD)
    with pytest.raises(ConfigError, match=rf"^state\.database: .*{wanted}") as caught:
        check(server)
    assert caught.value.hint


def test_a_real_server_says_what_it_is(place: PostgresPlace) -> None:
    with connect(place) as connection:
        found = look_at(connection)

    assert found == replace(GOOD, version=found.version)
    assert found.version >= 140_000


def test_a_database_of_another_encoding_is_refused(postgres: Postgres, place: PostgresPlace) -> None:
    name = postgres.database("ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0")

    with pytest.raises(ConfigError, match="encoding is LATIN1, want UTF8"):
        Ledger(replace(place, url=postgres.url(name)))


def test_a_session_that_may_only_read_is_refused(postgres: Postgres, place: PostgresPlace) -> None:
    url = f"{place.url}?options=-cdefault_transaction_read_only%3Don&target_session_attrs=any"

    with pytest.raises(ConfigError, match=r"state\.database: the server takes nothing in"):
        Ledger(replace(place, url=url))


def test_a_server_that_flushes_nothing_is_refused() -> None:
    with running_postgres(fsync=False) as server, pytest.raises(ConfigError, match="fsync"):
        Ledger(server.place())


@pytest.fixture
def no_password(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing that libpq finds."""
    monkeypatch.setenv("PGPASSFILE", str(tmp_path / "none"))
    monkeypatch.delenv("PGPASSWORD", raising=False)


@pytest.mark.usefixtures("no_password")
@pytest.mark.parametrize(
    ("change", "wanted", "hint"),
    [
        ("away", r"state\.database: cannot be used \(.*refused", "start the server"),
        ("no such host", r"state\.database: cannot be used", "correct host and port"),
        ("no such database", 'database "nobody" does not exist', "createdb"),
        ("wrong password", "password authentication failed", "state.password_file"),
        ("no password", "password", "state.password_file"),
        ("no such file", r"state\.password_file /nowhere: No such file", ""),
        ("no such parameter", r"invalid URI query parameter", "postgresql://"),
        ("no TLS", "server does not support SSL, but SSL was required", ""),
    ],
)
def test_a_database_that_cannot_be_used_is_told_with_what_to_do(
    postgres: Postgres,
    place: PostgresPlace,
    tmp_path: Path,
    change: str,
    wanted: str,
    hint: str,
) -> None:
    wrong = tmp_path / "wrong"
    wrong.write_text("hush\n")
    places = {
        "away": replace(place, url=f"postgresql://{ROLE}@127.0.0.1:9/{ROLE}"),
        "no such host": replace(place, url=f"postgresql://{ROLE}@nowhere.invalid/{ROLE}"),
        "no such database": replace(place, url=postgres.url("nobody")),
        "wrong password": replace(place, password_file=str(wrong)),
        "no password": replace(place, password_file=""),
        "no such file": replace(place, password_file="/nowhere"),
        "no such parameter": replace(place, url=f"{place.url}?sslmod=require"),
        "no TLS": replace(place, url=f"{place.url}?sslmode=verify-full&sslrootcert=/nowhere"),
    }

    with pytest.raises(ConfigError, match=wanted) as caught:
        Ledger(places[change])

    told = f"{caught.value} {caught.value.hint}"
    assert hint in told
    assert "hush" not in told
    assert PASSWORD not in told
    assert "\n" not in caught.value.message


def test_a_role_that_may_make_no_schema_is_told_what_to_grant(
    postgres: Postgres, place: PostgresPlace
) -> None:
    name = postgres.database()
    postgres.say(f"ALTER DATABASE {name} OWNER TO postgres")
    theirs = replace(place, url=postgres.url(name))

    with pytest.raises(ConfigError, match="permission denied") as caught:
        Ledger(theirs)
    assert "GRANT CREATE ON DATABASE" in (caught.value.hint or "")

    for schema in (place.schema, place.workflow_schema):  # made by who may, it is enough
        postgres.say(f"CREATE SCHEMA {schema} AUTHORIZATION {ROLE}", name)
    Ledger(theirs).close()


def test_a_ledger_of_a_newer_version_is_refused_by_name(ledger: Ledger, place: PostgresPlace) -> None:
    with ledger.transaction() as db:
        db.execute("UPDATE ledger_version SET version = ?", [SCHEMA + 1])

    with pytest.raises(ConfigError, match=f"version {SCHEMA + 1}, this program knows {SCHEMA}") as caught:
        Ledger(place)
    assert place.schema in caught.value.message


def test_who_opens_it_at_the_same_time_finds_one_ledger(place: PostgresPlace) -> None:
    came, opened = threading.Barrier(6), list[Ledger]()

    def open_it() -> None:
        came.wait()
        opened.append(Ledger(place))

    threads = [threading.Thread(target=open_it) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(opened) == 6
    assert [row["version"] for row in rows_in(place, "ledger_version")] == [SCHEMA]
    for ledger in opened:
        ledger.close()


def test_two_ledgers_of_one_database_do_not_know_each_other(postgres: Postgres) -> None:
    mine, other = Ledger(postgres.place()), Ledger(postgres.place())

    with mine.transaction():  # nor do they wait for each other
        Receipts(other, "r").enter(received("a"), 1.0)

    assert JobList(mine).receiving(1.0) == []
    assert len(JobList(other).receiving(1.0)) == 1
    mine.close()
    other.close()


def test_without_a_password_file_the_password_is_that_of_libpq(
    place: PostgresPlace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    passfile = tmp_path / "pgpass"
    passfile.write_text(f"*:*:*:{ROLE}:{PASSWORD.replace(':', chr(92) + ':')}\n")
    passfile.chmod(0o600)
    monkeypatch.setenv("PGPASSFILE", str(passfile))

    Ledger(replace(place, password_file="")).close()


# When it goes away.


def test_a_connection_that_was_ended_is_made_anew(postgres: Postgres, ledger: Ledger) -> None:
    receipts = Receipts(ledger, "r")
    receipts.enter(received("a"), 1.0)
    lost(postgres)

    assert receipts.enter(received("b"), 2.0).fresh
    assert len(receipts.paths()) == 2


def test_a_transaction_whose_connection_is_lost_is_undone_and_the_next_goes_on(
    postgres: Postgres, ledger: Ledger
) -> None:
    def write_and_lose() -> None:
        with ledger.transaction() as db:
            db.execute("INSERT INTO processes (role, pid, started_at) VALUES ('a', 1, 1)")
            lost(postgres)
            db.execute("INSERT INTO processes (role, pid, started_at) VALUES ('b', 1, 1)")

    with pytest.raises(LedgerError) as caught:
        write_and_lose()

    assert not isinstance(caught.value, UncertainError)
    Processes(ledger).note({"c": 1}, 1.0)
    assert [row["role"] for row in rows_in(ledger.place, "processes")] == ["c"]


def test_a_commit_whose_answer_is_lost_is_told_to_be_uncertain(postgres: Postgres, ledger: Ledger) -> None:
    def lose_the_answer() -> None:
        with ledger.transaction() as db:
            db.execute("INSERT INTO processes (role, pid, started_at) VALUES ('a', 1, 1)")
            lost(postgres)

    with pytest.raises(UncertainError):
        lose_the_answer()


def test_threads_whose_changes_share_a_lost_transaction_are_all_told(
    postgres: Postgres, ledger: Ledger
) -> None:
    failed, names = list[str](), ["a", "b", "c"]

    def enter(name: str) -> None:
        def change(db: Connection) -> None:
            db.execute("INSERT INTO processes (role, pid, started_at) VALUES (?, 1, 1)", [name])
            if name == "b":
                lost(postgres)

        try:
            ledger.together(change)
        except LedgerError:
            failed.append(name)

    threads = [threading.Thread(target=enter, args=[name]) for name in names]
    with ledger.transaction():
        for thread in threads:
            thread.start()
        waiting.wait_for(lambda: len(ledger._wanted) == len(names), "all changes", 60)
    for thread in threads:
        thread.join()

    assert sorted(failed) == names
    assert rows_in(ledger.place, "processes") == []


def test_while_the_server_is_away_everything_fails_at_once_and_goes_on_when_it_is_back() -> None:
    with running_postgres() as server:
        ledger = Ledger(server.place())
        receipts = Receipts(ledger, "r")
        receipts.enter(received("a"), 1.0)
        server.stop("immediate")

        for _ in range(3):
            with pytest.raises(LedgerError):
                receipts.enter(received("b"), 2.0)
            with pytest.raises(LedgerError):
                receipts.paths()

        server.start()
        waiting.wait_for(lambda: can_enter(receipts, "b"), "the ledger", 60)
        assert len(receipts.paths()) == 2
        ledger.close()


def can_enter(receipts: Receipts, name: str) -> bool:
    try:
        receipts.enter(received(name), 2.0)
    except LedgerError:
        return False
    return True


def test_who_writes_waits_for_who_does_and_gives_up_after_a_time(
    place: PostgresPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    from casgan_dicom.node.state import postgres_server  # noqa: PLC0415

    holder = Ledger(place)
    monkeypatch.setitem(postgres_server._SESSION, "lock_timeout", "50ms")
    waiter = Ledger(place)

    with holder.transaction(), pytest.raises(LedgerError, match="lock timeout"):
        Receipts(waiter, "r").enter(received("a"), 1.0)

    assert Receipts(waiter, "r").enter(received("a"), 1.0).fresh
    holder.close()
    waiter.close()


def test_what_is_read_is_one_view(place: PostgresPlace, ledger: Ledger) -> None:
    other = Ledger(place)
    with ledger.reading() as db:
        before = db.execute("SELECT count(*) FROM instances").fetchone()[0]
        Receipts(other, "r").enter(received("a"), 1.0)
        after = db.execute("SELECT count(*) FROM instances").fetchone()[0]
    other.close()

    assert (before, after) == (0, 0)
    assert len(Receipts(ledger, "r").paths()) == 1


# What is said of it.


def test_no_value_of_a_row_is_in_an_error(ledger: Ledger) -> None:
    def write_twice() -> None:
        with ledger.transaction() as db:
            for _ in range(2):
                db.execute("INSERT INTO processes (role, pid, started_at) VALUES (?, 1, 1)", ["PATIENT"])

    with pytest.raises(LedgerError) as caught:
        write_twice()

    assert "PATIENT" not in str(caught.value)
    assert error_facts(caught.value)["code"] == "23505"


def test_the_place_is_shown_without_who_comes_in() -> None:
    place = PostgresPlace("postgresql://secret@db.example:5433/casgan?sslmode=require")

    assert str(place) == "postgresql://db.example:5433/casgan"


def test_commits_of_the_workflows_are_flushed_to_the_disk(place: PostgresPlace) -> None:
    url = f"{place.url}?options=-csynchronous_commit%3Dlocal"

    for where, wanted in ((place, "on"), (replace(place, url=url), "local")):
        engine = engine_of(where)
        with engine.connect() as connection:
            assert connection.exec_driver_sql("SHOW synchronous_commit").scalar() == wanted
        engine.dispose()


def test_a_node_on_postgresql_makes_no_database_in_its_folder(postgres: Postgres, tmp_path: Path) -> None:
    open_ledger(NodeSettings(data=tmp_path, state=postgres.settings())).close()

    assert list(tmp_path.iterdir()) == []
