"""Connections to PostgreSQL, and whether a server can keep the books of a node.

A connection says what it needs when it is made: that a commit is on the disk when it returns, how long a
statement may wait, and that a peer who is gone is noticed. The password is read anew each time.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg.adapt import Loader
from psycopg.conninfo import conninfo_to_dict

from casgan_dicom.errors import ConfigError
from casgan_dicom.node.state.postgres_place import PostgresPlace

OLDEST = 14
"""Major version of PostgreSQL; older ones get no more corrections."""
CONNECT_SECONDS = 10
"""How long a server may take to answer a new connection."""
LOCK_SECONDS = 30
"""How long a transaction waits for its turn to write, as long as it does in SQLite."""
STATEMENT_SECONDS = 60
"""How long one statement may take."""
IDLE_SECONDS = 10
"""After so long without a word inside a transaction the server ends it: others wait for it."""

_SESSION = {
    "synchronous_commit": "on",
    "lock_timeout": f"{LOCK_SECONDS}s",
    "statement_timeout": f"{STATEMENT_SECONDS}s",
    "idle_in_transaction_session_timeout": f"{IDLE_SECONDS}s",
    "tcp_keepalives_idle": "30",
    "tcp_keepalives_interval": "10",
    "tcp_keepalives_count": "3",
}
_SOCKET = {
    "connect_timeout": CONNECT_SECONDS,
    "application_name": "casgan-dicom",
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
    "target_session_attrs": "read-write",
}
_ASKED = "fsync", "full_page_writes", "server_encoding", "transaction_read_only"


@dataclass(frozen=True)
class Server:
    """What a server says of itself."""

    version: int
    """As 150006 for 15.6."""
    encoding: str
    """Of the texts in the database."""
    flushes: bool
    """Whether it puts on the disk what it says is committed, and can mend a page that a crash tore."""
    read_only: bool
    """Whether nothing can be written, as on a standby."""


def connect(place: PostgresPlace, **settings: object) -> psycopg.Connection[Any]:
    """Connect to a database.

    Parameters
    ----------
    place
        Which.
    settings
        Of the session, besides those above, by the names of PostgreSQL.

    Raises
    ------
    psycopg.Error
        It cannot be reached, or does not let us in; also where the password cannot be read.
    """
    wanted: dict[str, Any] = conninfo_to_dict(place.url)
    given = str(wanted.pop("options", ""))
    options = " ".join(f"-c {name}={value}" for name, value in {**_SESSION, **settings}.items())
    if place.password_file:
        wanted["password"] = _password(Path(place.password_file).expanduser())
    connection = psycopg.connect(**{**_SOCKET, **wanted, "options": f"{options} {given}".strip()})
    connection.adapters.register_loader("numeric", _Whole)
    return connection


def look_at(connection: psycopg.Connection[Any]) -> Server:
    """Ask a server what it is."""
    asked = ", ".join(f"current_setting('{name}')" for name in _ASKED)
    row = connection.execute(f"SELECT {asked}").fetchone()
    assert row is not None
    fsync, pages, encoding, read_only = row
    version = connection.info.server_version
    return Server(version, encoding, fsync == pages == "on", read_only == "on")


def check(server: Server) -> None:
    """Raise ConfigError where a server cannot keep the books of a node."""
    if server.version < OLDEST * 10000:
        major = f"{server.version // 10000}.{server.version % 10000}"
        raise ConfigError(
            f"state.database: the server is PostgreSQL {major}, want {OLDEST} or newer",
            hint="upgrade it, or name another server",
        )
    if server.encoding != "UTF8":
        raise ConfigError(
            f"state.database: its encoding is {server.encoding}, want UTF8",
            hint="create one for the node: createdb --encoding=UTF8 --template=template0 NAME",
        )
    if not server.flushes:
        raise ConfigError(
            "state.database: the server has fsync or full_page_writes off, want both on:"
            " what was acknowledged could be lost",
            hint="set both to on in postgresql.conf, and restart the server",
        )
    if server.read_only:
        raise ConfigError(
            "state.database: the server takes nothing in, it is a standby or read only",
            hint="name the primary, or all hosts of both: postgresql://user@host1,host2/name",
        )


def description_of(place: PostgresPlace) -> str:
    """A server that can keep the books of a node, in words. Raises ConfigError where it cannot."""
    try:
        with connect(place) as connection:
            server = look_at(connection)
            info = connection.info
            where = f"{info.dbname} at {info.host}:{info.port}"
    except psycopg.Error as error:
        raise refused(error) from error
    check(server)
    return f"{where} is in PostgreSQL {server.version // 10000}.{server.version % 10000}"


def refused(error: Exception) -> ConfigError:
    """What to tell a person whose database cannot be used. Nothing of it is the password."""
    said = what_is_said(error)
    found = error if isinstance(error, psycopg.Error) else None
    connection = None if found is None else found.pgconn
    if isinstance(error, psycopg.errors.InsufficientPrivilege):
        hint = "give the role the right: GRANT CREATE ON DATABASE name TO role; or make it the owner"
    elif isinstance(error, psycopg.ProgrammingError):
        hint = "the URL is postgresql://user@host:port/name?sslmode=verify-full&sslrootcert=FILE"
    elif "does not exist" in said:  # in English; else it is one of the others
        hint = "create it: createuser --pwprompt NAME; createdb --encoding=UTF8 --owner=NAME NAME"
    elif connection is not None and (connection.needs_password or connection.used_password):
        hint = "put the password of the role into the file that state.password_file names, or into ~/.pgpass"
    else:
        hint = "start the server, or correct host and port; try: psql with the same URL"
    return ConfigError(f"state.database: cannot be used ({said})", hint=hint)


def what_is_said(error: Exception) -> str:
    """What an error says in one line, without the values of rows that the server adds to some."""
    if isinstance(error, psycopg.Error) and error.diag.message_primary:
        return error.diag.message_primary
    if isinstance(error, OSError):
        return f"{error.filename}: {error.strerror}"
    return " ".join(str(error).split()) or type(error).__name__


def _password(path: Path) -> str:
    """The first line of a file. Raises psycopg.Error."""
    try:
        return path.read_text(encoding="utf-8").partition("\n")[0].rstrip("\r")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "is no text"
        raise psycopg.OperationalError(f"state.password_file {path}: {reason}") from error


class _Whole(Loader):
    """Sums of integers come as numbers of any length."""

    def load(self, data: psycopg.abc.Buffer) -> int | float:
        """Read one."""
        text = bytes(data).decode("ascii")
        return int(text) if text.lstrip("-").isdigit() else float(text)
