"""Tables of a ledger, seen past the code that writes them: through a connection of the test's own."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import dict_row

from casgan_dicom.node.state.postgres_place import Place, PostgresPlace


def rows_in(place: Place, table: str = "instances", order: str = "1") -> list[dict[str, Any]]:
    """The rows of a table, ordered by a column."""
    if isinstance(place, Path):
        with closing(sqlite3.connect(place, timeout=30)) as db:
            db.row_factory = sqlite3.Row
            return [dict(row) for row in db.execute(f"SELECT * FROM {table} ORDER BY {order}")]
    with _connected(place) as server:
        return server.execute(f"SELECT * FROM {place.schema}.{table} ORDER BY {order}").fetchall()


def lose_workflows(place: Place) -> None:
    """Let all durable workflows be gone; nobody may serve them."""
    if isinstance(place, Path):
        for path in place.parent.glob(f"{place.name}*"):
            path.unlink()
        return
    with _connected(place) as server:
        server.execute(f"DROP SCHEMA {place.workflow_schema} CASCADE")


def _connected(place: PostgresPlace) -> psycopg.Connection[dict[str, Any]]:
    password = Path(place.password_file).read_text(encoding="utf-8").strip()
    return psycopg.connect(place.url, password=password, row_factory=dict_row)
