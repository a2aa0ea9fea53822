"""How a host comes in: under a name of its own, and beside none whose ledger or workflows are others."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from casgan_dicom.errors import ConfigError
from casgan_dicom.node.settings import NodeSettings, StateSettings
from casgan_dicom.node.share.membership import Membership, host_of, join
from casgan_dicom.node.share.tenure import holder_of
from casgan_dicom.node.state.books import open_ledger
from casgan_dicom.node.state.hosts import Hosts
from casgan_dicom.node.state.jobs import JobList
from casgan_dicom.node.state.jobs import Place as At
from casgan_dicom.node.state.layout import Layout
from casgan_dicom.node.state.leases import Leases, lease_of_host
from casgan_dicom.node.state.receipts import Receipts
from casgan_dicom.node.work.keeper import Keeper
from tests.node.ledgers import received
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


def test_a_node_without_a_name_works_on_a_database_alone(tmp_path: Path, state: StateSettings) -> None:
    first, second = (settings_of(tmp_path, "", state, data=name) for name in ("one", "two"))
    ledger = open_ledger(first)
    membership = Membership(first, ledger)

    with pytest.raises(ConfigError, match="another node works on this database"):
        Membership(second, ledger)
    with pytest.raises(ConfigError, match="host 'a' cannot come in beside it"):
        come_in(settings_of(tmp_path, "a", state))
    membership.renew(1000.0)
    membership.leave()
    Membership(second, ledger)

    with pytest.raises(ConfigError, match="another node without a name works"):
        membership.renew(2000.0)
    ledger.close()


def test_a_node_without_a_name_does_not_come_in_beside_hosts(tmp_path: Path, state: StateSettings) -> None:
    come_in(settings_of(tmp_path, "a", state))
    alone = settings_of(tmp_path, "", state, data="one")
    ledger = open_ledger(alone)

    with pytest.raises(ConfigError, match="hosts a work on this database, and this one has no name"):
        Membership(alone, ledger)
    ledger.close()


def test_a_keeper_deletes_what_another_host_does_now_and_nothing_of_its_own(
    tmp_path: Path, state: StateSettings
) -> None:
    settings = settings_of(tmp_path, "a", state)
    come_in(settings)
    ledger, layout = open_ledger(settings), Layout(settings.data)
    jobs, folders = JobList(ledger), dict[str, list[Path]]()
    for host in ("a", "b"):
        job = Receipts(ledger, "r", "a").enter(received(host, series=host), 1.0).job
        assert jobs.enter(job, "queued", 2.0)
        (waiting,) = [each for each in jobs.to_enqueue() if each.job == job]
        jobs.enqueued(waiting, At(host, "cpu"))
        folders[host] = [layout.outbox / job, layout.fetched / job]
    for folder in (*folders["a"], *folders["b"]):
        folder.mkdir(parents=True)
        os.utime(folder, (1.0, 1.0))

    assert Keeper(settings, ledger).sweep() == 2

    assert all(folder.exists() for folder in folders["a"])
    assert not any(folder.exists() for folder in folders["b"])
    ledger.close()


def test_a_data_folder_belongs_to_the_host_whose_name_it_has(tmp_path: Path, state: StateSettings) -> None:
    """Under another name, the listener would delete what is in it: no row speaks of it."""
    come_in(settings_of(tmp_path, "a", state))

    with pytest.raises(ConfigError, match=r"it is that of host 'a', and host\.name is 'b'"):
        come_in(settings_of(tmp_path, "b", state, data="a"))
    without = settings_of(tmp_path, "", state, data="a")
    ledger = open_ledger(without)
    with pytest.raises(ConfigError, match=r"it is that of host 'a', and host\.name is ''"):
        Membership(without, ledger)
    ledger.close()


def test_a_node_that_worked_alone_gets_a_name_and_then_keeps_it(tmp_path: Path, state: StateSettings) -> None:
    alone = settings_of(tmp_path, "", state, data="one")
    ledger = open_ledger(alone)
    Membership(alone, ledger).leave()
    Receipts(ledger, "r").enter(received("one"), 1.0)

    with pytest.raises(ConfigError, match="has left files that are not on host 'b'"):
        come_in(settings_of(tmp_path, "b", state))
    come_in(settings_of(tmp_path, "a", state, data="one"))
    come_in(settings_of(tmp_path, "b", state))

    assert Receipts(ledger, "r", "a").paths() == {received("one").path}
    with pytest.raises(ConfigError, match="it is that of host 'a'"):
        Membership(alone, ledger)
    ledger.close()
