"""Which settings of [state] make sense together, by key; a password is never shown."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from casgan_dicom.errors import ConfigError
from casgan_dicom.node.checks import load_node_settings, problems
from casgan_dicom.node.settings import NodeSettings, StateSettings


def told(**state: str) -> tuple[str, ...]:
    return problems(NodeSettings(state=StateSettings(**state)))


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://casgan@db.example/casgan",
        "postgres://db.example:5433/casgan?sslmode=verify-full&sslrootcert=/etc/ca.pem",
        "postgresql://casgan@db1,db2:5433/casgan?target_session_attrs=read-write",
        "postgresql:///casgan?host=/var/run/postgresql",
        "postgresql://casgan@db.example/?dbname=casgan",
    ],
)
def test_urls_as_libpq_takes_them_are_taken(url: str) -> None:
    assert told(database=url) == ()


@pytest.mark.parametrize(
    ("state", "wanted"),
    [
        ({"database": "node.sqlite"}, "state.database is no URL of PostgreSQL, want '' "),
        ({"database": "mysql://u@h/d"}, "state.database is no URL of PostgreSQL"),
        ({"database": "postgresql:u@h/d"}, "state.database is no URL of PostgreSQL"),
        ({"database": "postgresql://u@[h/d"}, "state.database is no URL, want"),
        ({"database": "postgresql://u@h"}, "state.database names no database"),
        ({"password_file": "/p"}, "state.password_file is set, want '': state.database is ''"),
        ({"schema": "Ledger"}, "state.schema is 'Ledger', want 1 to 58 small letters"),
        ({"schema": "pg_ledger"}, "state.schema is 'pg_ledger', want"),
        ({"schema": "s" * 59}, "state.schema is 's+', want 1 to 58"),
    ],
)
def test_what_makes_no_sense_is_told_by_key(state: dict[str, str], wanted: str) -> None:
    (found,) = told(**state)
    assert re.search(wanted, found)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://casgan:hush@h/d",
        "postgresql://:hush@h/d",
        "postgresql://casgan@h/d?password=hush",
        "postgresql://casgan@h/d?sslmode=require&password=hush",
        "mysql://casgan:hush@h/d",
        "hush",
    ],
)
def test_a_password_in_the_url_is_refused_and_not_shown(url: str, tmp_path: Path) -> None:
    config = tmp_path / "node.toml"
    config.write_text(f'[state]\ndatabase = "{url}"\n')

    with pytest.raises(ConfigError, match=r"state\.database") as caught:
        load_node_settings(config, {})

    assert "hush" not in f"{caught.value} {caught.value.hint}"
