"""How a host comes in: under a name of its own, and beside none whose ledger or workflows are others."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from casgan_dicom.errors import ConfigError
from casgan_dicom.node.settings import NodeSettings, StateSettings
from casgan_dicom.node.share.membership import host_of, join
from casgan_dicom.node.share.tenure import holder_of
from casgan_dicom.node.state.books import open_ledger
from casgan_dicom.node.state.hosts import Hosts
from casgan_dicom.node.state.leases import Leases, lease_of_host
from casgan_dicom.node.work.keeper import Keeper
from tests.node.several import host_settings


def settings_of(folder: Path, name: str, state: StateSettings, data: str = "") -> NodeSettings:
    settings = host_settings(folder, name, state)
    settings = replace(settings, data=folder / (data or name))
    settings.data.mkdir(exist_ok=True)
    return settings


def come_in(settings: NodeSettings, **versions: object) -> None:
    """Let a host come in, which may be one of another version."""
    ledger = open_ledger(settings)
    try:
        join(settings, ledger, replace(host_of(settings), **versions))  # type: ignore[arg-type]
    finally:
        ledger.close()


@pytest.fixture
def state(postgres: object, request: pytest.FixtureRequest) -> StateSettings:
    """Where all hosts of a test keep their books."""
    found = request.getfixturevalue("postgres").settings()
    assert isinstance(found, StateSettings)
    return found


def test_an_old_and_a_new_program_run_side_by_side_on_one_ledger(
    tmp_path: Path, state: StateSettings
) -> None:
    come_in(settings_of(tmp_path, "a", state), program="0.1.0")
    come_in(settings_of(tmp_path, "b", state), program="0.2.0")

    ledger = open_ledger(settings_of(tmp_path, "a", state))
    assert [(each.host.program, each.is_live) for each in Hosts(ledger).all()] == [
        ("0.1.0", True),
        ("0.2.0", True),
    ]
    ledger.close()


@pytest.mark.parametrize("versions", [{"ledger": 5}, {"workflows": "node-9"}])
def test_a_host_of_another_ledger_or_other_workflows_is_refused_and_told_who_runs_the_old(
    tmp_path: Path, state: StateSettings, versions: dict[str, object]
) -> None:
    come_in(settings_of(tmp_path, "a", state), program="0.1.0")

    with pytest.raises(ConfigError, match=r"cannot work beside a \(0\.1\.0\)"):
        come_in(settings_of(tmp_path, "b", state), program="0.2.0", **versions)


def test_when_the_old_ones_have_stopped_the_new_one_comes_in(tmp_path: Path, state: StateSettings) -> None:
    old = settings_of(tmp_path, "a", state)
    come_in(old)
    ledger = open_ledger(old)
    Leases(ledger).let_go(Leases(ledger).find(lease_of_host("a")))
    ledger.close()

    come_in(settings_of(tmp_path, "b", state), workflows="node-9")


def test_two_hosts_of_one_name_are_not_let_in_together(tmp_path: Path, state: StateSettings) -> None:
    come_in(settings_of(tmp_path, "a", state))

    with pytest.raises(ConfigError, match="host 'a' runs already, with another data folder"):
        come_in(settings_of(tmp_path, "a", state, data="elsewhere"))


def test_a_host_that_was_killed_comes_back_at_once_and_its_old_processes_are_believed_no_more(
    tmp_path: Path, state: StateSettings
) -> None:
    settings = settings_of(tmp_path, "a", state)
    come_in(settings)
    come_in(settings)

    ledger = open_ledger(settings)
    assert Leases(ledger).find(lease_of_host("a")).token == 2
    ledger.close()


def test_a_keeper_takes_the_lease_again_that_was_taken_away_and_a_new_token_with_it(
    tmp_path: Path, state: StateSettings
) -> None:
    settings = settings_of(tmp_path, "a", state)
    come_in(settings)
    ledger = open_ledger(settings)
    leases, name = Leases(ledger), lease_of_host("a")
    keeper = Keeper(settings, ledger)
    keeper.renew()
    assert leases.find(name).token == 1
    leases.let_go(leases.find(name))
    assert Hosts(ledger).lose().hosts == ("a",)

    keeper.renew()

    found = leases.find(name)
    assert (found.holder, found.token) == (holder_of(settings), 3)
    assert [each.is_live for each in Hosts(ledger).all()] == [True]
    ledger.close()
