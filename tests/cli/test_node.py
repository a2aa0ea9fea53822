"""``casgan-dicom node``: starting, stopping, looking and trying again."""

from __future__ import annotations

import fcntl
import json
import os
import re
import signal
import socket
import subprocess
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import psycopg
import pytest
from click.testing import CliRunner, Result

from casgan_dicom.cli import cli
from casgan_dicom.node.state.deliveries import Attempt, Deliveries, Delivery, Derived
from casgan_dicom.node.state.jobs import JobList
from casgan_dicom.node.state.layout import Layout
from casgan_dicom.node.state.ledger import Ledger
from casgan_dicom.node.state.processes import Processes
from casgan_dicom.node.state.receipts import Receipts
from casgan_dicom.quoting import printable
from tests.model.bundles import write_bundle
from tests.node.ledgers import received
from tests.node.nodes import wait_for
from tests.support.factories import uid
from tests.support.postgres import ROLE, Postgres

PROGRAM = Path(sysconfig.get_path("scripts")) / "casgan-dicom"


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The data folder of a node that has stopped: one job done, one undelivered, one failed."""
    folder = tmp_path / "node"
    monkeypatch.setenv("CASGAN_NODE_DATA", str(folder))
    folder.mkdir()
    ledger = Ledger(Layout(folder).ledger)
    jobs, deliveries = JobList(ledger), Deliveries(ledger)
    for k, name in enumerate(("done", "undelivered", "failed")):
        job = Receipts(ledger, "w").enter(received(name, series=name), float(k)).job
        if name == "failed":
            jobs.enter(job, "failed", 10.0 + k, ["unexpected RuntimeError, see the log"])
            continue
        derived = Derived(uid(f"derived {name}"), uid(f"to {name}"), Path(f"/outbox/{name}.dcm"), "0" * 64, 3)
        deliveries.put(job, [derived], ["pacs"], 10.0 + k)
        end = Attempt("sent", "") if name == "done" else Attempt("dead", "refused with status 0xC000")
        deliveries.attempted(Delivery(job, "pacs", 1), end, 10.0 + k)
    ledger.close()
    return folder


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["node", *arguments])


def ids() -> dict[str, str]:
    """Job ids by state."""
    return {row["state"]: row["job"] for row in json.loads(run("jobs", "--json").stdout)}


def test_status_counts_what_there_is(data: Path) -> None:
    status = json.loads(run("status", "--json").stdout)

    assert status["processes"] == {}
    assert status["jobs"] == {"done": 1, "failed": 1, "undelivered": 1}
    assert status["deliveries"] == {"pacs": {"dead": 1, "sent": 1}}
    assert (status["instances"], status["quarantined_instances"]) == (3, 0)
    assert status["data"] == str(data)
    assert status["free_bytes"] > 0


def test_a_relative_data_folder_is_that_of_the_working_directory(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(data.parent)
    monkeypatch.setenv("CASGAN_NODE_DATA", data.name)

    assert json.loads(run("status", "--json").stdout)["data"] == str(data)


def test_status_is_readable(data: Path) -> None:
    text = run("status").stdout

    assert "none: the node is stopped" in text
    assert "pacs: 1 dead, 1 sent" in text


def test_jobs_are_listed_with_their_reasons_the_latest_first(data: Path) -> None:
    rows = json.loads(run("jobs", "--json").stdout)
    shown = run("jobs")

    assert [row["state"] for row in rows] == ["failed", "undelivered", "done"]
    assert rows[0]["reasons"] == ["unexpected RuntimeError, see the log"]
    assert rows[1]["deliveries"][0]["reason"] == "refused with status 0xC000"
    assert "pacs: refused with status 0xC000" in shown.stderr
    assert rows[1]["job"] in shown.stdout


@pytest.mark.parametrize("peer", ["[/x]", "[red]X[/red]", "\x1b[31mX", "A\nB", "\\[X]"])
def test_nothing_from_outside_is_markup_or_moves_the_terminal(data: Path, peer: str) -> None:
    ledger = Ledger(Layout(data).ledger)
    with ledger.transaction() as db:
        db.execute("UPDATE jobs SET peer = ?, reasons = ?", [peer, json.dumps([f"said {peer}"])])
    ledger.close()

    shown = run("jobs")

    assert shown.exit_code == 0
    assert printable(peer) in shown.stdout
    assert all(line.isprintable() for line in (shown.stdout + shown.stderr).splitlines())


def test_jobs_can_be_chosen_by_state_and_number(data: Path) -> None:
    assert len(json.loads(run("jobs", "--json", "--limit", "2").stdout)) == 2
    assert [row["state"] for row in json.loads(run("jobs", "--json", "--state", "done").stdout)] == ["done"]


def test_retry_takes_up_everything_that_ended_badly(data: Path) -> None:
    before = ids()

    again = json.loads(run("retry", "--json").stdout)

    assert again == {
        "conversions": [before["failed"]],
        "deliveries": [{"job": before["undelivered"], "destination": "pacs"}],
        "reviews": [],
    }
    assert set(ids()) == {"queued", "delivering", "done"}
    assert "nothing to try again" in run("retry").stderr


def test_retry_of_one_job_leaves_the_others(data: Path) -> None:
    before = ids()

    shown = run("retry", before["undelivered"])

    assert shown.stdout == f"{before['undelivered']}  send to pacs\n"
    assert set(ids()) == {"failed", "delivering", "done"}


def test_an_unknown_job_is_said_and_nothing_is_tried_again(data: Path) -> None:
    shown = run("retry", "0123456789abcdef", ids()["failed"])

    assert shown.exit_code == 5
    assert "no job 0123456789abcdef" in shown.stderr
    assert set(ids()) == {"failed", "undelivered", "done"}


@pytest.mark.parametrize("command", ["status", "jobs", "retry"])
def test_a_folder_without_a_node_is_said_and_not_made(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CASGAN_NODE_DATA", str(tmp_path / "nowhere"))

    shown = run(command)

    assert shown.exit_code == 5
    assert "no node has run on this data folder" in shown.stderr
    assert not (tmp_path / "nowhere").exists()


def test_neither_are_tables_in_a_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, postgres: Postgres
) -> None:
    state = postgres.settings()
    for key, value in asdict(state).items():
        monkeypatch.setenv(f"CASGAN_NODE_STATE_{key.upper()}", value)
    monkeypatch.setenv("CASGAN_NODE_DATA", str(tmp_path / "nowhere"))

    shown = run("status")

    assert shown.exit_code == 5
    assert "no node has run on this data folder" in shown.stderr
    asked = f"SELECT 1 / count(*) FROM pg_namespace WHERE nspname = '{state.schema}'"
    with pytest.raises(psycopg.errors.DivisionByZero):  # there is no such schema
        postgres.say(asked, ROLE)


def test_every_mistake_in_the_configuration_is_named_at_once(tmp_path: Path) -> None:
    config = tmp_path / "node.toml"
    config.write_text('[listener]\nprot = 104\nae_title = "A TITLE THAT IS TOO LONG"\n')

    shown = run("--config", str(config))

    assert shown.exit_code == 5
    assert "prot" in shown.stderr
    assert "port" in shown.stderr
    assert "A TITLE THAT IS TOO LONG" in shown.stderr


@contextmanager
def started(data: Path, bundle: Path, **settings: str) -> Iterator[subprocess.Popen[str]]:
    """The command, which has said that it listens or has ended."""
    variables = {
        "CASGAN_NODE_DATA": str(data),
        "CASGAN_NODE_WORKER_BUNDLE": str(bundle),
        "CASGAN_NODE_WORKER_ENGINE": "torch",
        "CASGAN_NODE_LISTENER_PORT": "0",
        **settings,
    }
    process = subprocess.Popen(
        [str(PROGRAM), "node"], env=os.environ | variables, stderr=subprocess.PIPE, text=True
    )
    with process:
        yield process
        process.kill()


def read_until(process: subprocess.Popen[str], words: str) -> str:
    """What it said on stderr up to a line with `words`, or to the end."""
    assert process.stderr is not None
    text = ""
    for line in process.stderr:
        text += line
        if words in line:
            break
    return text


def runs(pid: int) -> bool:
    """Whether a process is there and has not ended; nobody may have asked yet how it ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_node_says_what_it_does_and_stops_when_told(number: signal.Signals, tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "bundle")

    with started(tmp_path / "node", bundle) as node:
        said = read_until(node, "stop:")
        node.send_signal(number)
        rest = read_until(node, "casgan-dicom node: stopped")
        assert node.wait(60) == 0

    assert "CASGAN listens on 127.0.0.1:" in said
    assert str(tmp_path / "node" / "outbox") in said
    assert "casgan-dicom node: stopped" in rest
    trail = Layout(tmp_path / "node").audit.read_text(encoding="utf-8")
    assert re.findall(r"Application St\w+", trail) == ["Application Start", "Application Stop"]


def test_no_process_outlives_a_supervisor_that_was_killed(tmp_path: Path) -> None:
    with started(tmp_path / "node", write_bundle(tmp_path / "bundle")) as node:
        read_until(node, "stop:")
        ledger = Ledger(Layout(tmp_path / "node").ledger)
        with ledger.reading() as db:
            pids = [row["pid"] for row in db.execute("SELECT pid FROM processes")]
        ledger.close()
        node.kill()
        read_until(node, "never said: every process that holds stderr has to end first")

    assert len(pids) == 4
    # A process that ends closes its files first.
    wait_for(lambda: not any(map(runs, pids)), "the end of every process")


def test_a_port_in_use_ends_the_node_with_its_number(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])

        with started(
            tmp_path / "node", write_bundle(tmp_path / "bundle"), CASGAN_NODE_LISTENER_PORT=port
        ) as node:
            said = read_until(node, "never said")
            assert node.wait(60) == 5

    assert "in use" in said
    assert port in said
    assert "Traceback" not in said


def test_two_nodes_never_share_a_data_folder(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "bundle")

    with started(tmp_path / "node", bundle) as first:
        read_until(first, "stop:")
        with started(tmp_path / "node", bundle) as second:
            said = read_until(second, "never said")
            assert second.wait(60) == 5
        first.terminate()
        assert first.wait(60) == 0

    assert "another node runs on it" in said


def test_an_unknown_bundle_ends_the_node_before_it_listens(tmp_path: Path) -> None:
    with started(tmp_path / "node", tmp_path / "nowhere") as node:
        said = read_until(node, "never said")
        assert node.wait(60) == 5

    assert "bundle 'nowhere'" in said


def test_a_check_has_one_line_and_the_exit_code_of_monitoring_programs(data: Path) -> None:
    result = run("status", "--check")

    assert result.exit_code == 2
    (line,) = result.stdout.splitlines()
    assert line.startswith("CASGAN CRITICAL - the node is stopped; ")
    assert "1 jobs failed; 1 jobs undelivered; 1 dead letters to pacs" in line
    assert run("status").exit_code == 0
    about = json.loads(run("status", "--json").stdout)
    assert (about["check"], about["phase"]) == ("CRITICAL", "stopped")


def test_a_check_that_cannot_tell_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CASGAN_NODE_DATA", str(tmp_path / "nothing"))

    result = run("status", "--check")

    assert result.exit_code == 3
    assert result.stdout.startswith("CASGAN UNKNOWN - ")


def test_a_node_that_starts_is_not_called_stopped(data: Path) -> None:
    """From the lock on the data folder until every process is ready."""
    with Layout(data).lock.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        starting = json.loads(run("status", "--json").stdout)
        ledger = Ledger(Layout(data).ledger)
        Processes(ledger).note({"listener": 77}, 1.0)
        ledger.close()
        running = json.loads(run("status", "--json").stdout)
    stopped = json.loads(run("status", "--json").stdout)

    assert (starting["phase"], starting["processes"]) == ("starting", {})
    assert (running["phase"], running["processes"]) == ("running", {"listener": 77})
    assert (stopped["phase"], stopped["processes"]) == ("stopped", {})


def test_quarantine_says_what_lies_there_and_why(data: Path) -> None:
    assert "nothing lies in quarantine" in run("quarantine").stderr
    at = data / "quarantine"
    ledger = Ledger(Layout(data).ledger)
    with ledger.transaction() as db:
        for row in (
            [f"{at}/ab.dcm", "1.2.3", "data set cannot be read", "CATHLAB", "10.0.0.1", 5.0],
            [f"{at}/cd.dcm", "x", "why", "\x1b[2J", "10.0.0.2", 6.0],
        ):
            db.execute(
                "INSERT INTO quarantine (path, sop_uid, reason, peer, address, at) VALUES (?, ?, ?, ?, ?, ?)",
                row,
            )
    ledger.close()

    shown = run("quarantine").stdout.splitlines()
    rows = json.loads(run("quarantine", "--json").stdout)

    assert "no legal AE" in shown[0]
    assert shown[1].startswith(f"{at}/ab.dcm  ")
    assert shown[1].endswith("from 'CATHLAB' at 10.0.0.1: data set cannot be read")
    assert [row["sop_uid"] for row in rows] == ["x", "1.2.3"]
    assert len(run("quarantine", "--limit", "1").stdout.splitlines()) == 1


def test_jobs_tell_series_revision_frames_and_how_far_a_conversion_is(data: Path) -> None:
    job = ids()["failed"]
    ledger = Ledger(Layout(data).ledger)
    with ledger.transaction() as db:
        db.execute("UPDATE jobs SET state = 'converting' WHERE job = ?", [job])
        db.execute("UPDATE instances SET frames = 96 WHERE job = ?", [job])
    ledger.close()
    note = Layout(data).work / "cpu" / job
    note.parent.mkdir(parents=True)
    note.write_text("generate 12/96 of 1.2.3".ljust(128))

    rows = {row["job"]: row for row in json.loads(run("jobs", "--json").stdout)}
    shown = run("jobs").stdout

    assert (rows[job]["progress"], rows[job]["frames"], rows[job]["revision"]) == ("generate 12/96", 96, 1)
    assert "converting generate 12/96" in shown
    assert f"{job}  series {rows[job]['series_uid']}" in shown


@pytest.mark.parametrize("command", ["jobs", "quarantine"])
@pytest.mark.parametrize("limit", ["0", "-1", "99999999999999999999"])
def test_a_number_of_rows_that_is_none_is_wrong_usage(data: Path, command: str, limit: str) -> None:
    shown = run(command, "--limit", limit)

    assert shown.exit_code == 2
    assert "is not in the range" in shown.stderr
