"""The connections of the durable workflows to their database, and that a commit of theirs is on the disk."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import sqlalchemy
from sqlalchemy import event

from casgan_dicom.node.state.postgres_place import Place, PostgresPlace

KEPT, AT_MOST = 4, 16
"""Connections of a process to PostgreSQL that stay open, and those that it has at the same time."""


def engine_of(place: Place) -> sqlalchemy.Engine:
    """What makes the connections to a database."""
    return _of_sqlite(place) if isinstance(place, Path) else _of_postgres(place)


def _of_sqlite(path: Path) -> sqlalchemy.Engine:
    """SQLite as DBOS wants it, and so that a commit is on the disk."""
    engine = sqlalchemy.create_engine(f"sqlite:///{path}")

    @event.listens_for(engine, "connect")
    def on_connect(connection: sqlite3.Connection, _: object) -> None:
        connection.isolation_level = "IMMEDIATE"
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "busy_timeout = 30000"):
            connection.execute(f"PRAGMA {pragma}")

    return engine


def _of_postgres(place: PostgresPlace) -> sqlalchemy.Engine:
    """PostgreSQL: a connection that was lost is noticed before it is used, and made anew."""
    # Imported here: a node on SQLite does not need it.
    from casgan_dicom.node.state.postgres_server import connect  # noqa: PLC0415

    return sqlalchemy.create_engine(
        "postgresql+psycopg://",
        creator=lambda: connect(place),
        pool_size=KEPT,
        max_overflow=AT_MOST - KEPT,
        pool_pre_ping=True,
    )
