"""A database that can keep the books, and those that cannot."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from casgan_dicom.node.doctor.database import look_at_database
from casgan_dicom.node.doctor.finding import Verdict
from casgan_dicom.node.doctor.plan import _elsewhere
from casgan_dicom.node.settings import NodeSettings, StateSettings
from tests.support.orthanc import free_ports
from tests.support.postgres import PASSWORD, Postgres

FAULTS: dict[str, tuple[str, Callable[[Postgres], str]]] = {
    "nobody listens": ("start the server", lambda _: f"postgresql://casgan@127.0.0.1:{free_ports(1)[0]}/a"),
    "no such database": ("create it", lambda server: server.url("elsewhere")),
    "no such role": ("state.password_file", lambda server: server.url("casgan", "nobody")),
    "no such parameter": ("the URL is", lambda server: f"{server.url('casgan')}?colour=red"),
}
"""What to do about a fault, and a URL that has it."""


def test_a_server_says_what_it_is(postgres: Postgres) -> None:
    (found,) = look_at_database(NodeSettings(state=postgres.settings()))

    assert found.verdict is Verdict.OK
    assert f"casgan at 127.0.0.1:{postgres.port} is in PostgreSQL" in found.text


@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_names_what_to_do_and_no_password(postgres: Postgres, name: str) -> None:
    advice, url = FAULTS[name]
    state = replace(postgres.settings(), database=url(postgres))

    (found,) = look_at_database(NodeSettings(state=state))

    assert (found.verdict, found.about) == (Verdict.FAIL, "state.database")
    assert advice in found.advice
    assert PASSWORD not in str(found)


def test_files_are_no_server(tmp_path: Path) -> None:
    assert [each.about for each in _elsewhere(NodeSettings(data=tmp_path, state=StateSettings()), 1)] == []
