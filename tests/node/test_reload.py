"""``node reload``: what is taken while a node runs, what is refused, and that nothing stops meanwhile."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import signal
import subprocess
import termios
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from pynetdicom import AE
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]  # made when it is imported

from casgan_dicom.cli import cli
from casgan_dicom.errors import PeerError
from casgan_dicom.node.state.layout import Layout
from casgan_dicom.node.state.supervisor import is_held, last_answer, supervisor_of
from tests.faults.modality import cine, send
from tests.node.nodes import PROGRAM, WAIT_SECONDS, config, program, wait_for
from tests.support.fake_pacs import FakePacs

RULE = '\n[[rules]]\nname = "{name}"\nheader = ["Modality = XA"]\n{more}'


@dataclass(frozen=True)
class Running:
    """A node that runs, and its file."""

    path: Path
    port: int
    output: Path

    def node(self, *arguments: str) -> Result:
        return CliRunner().invoke(cli, ["node", "--config", str(self.path), *arguments])

    def jobs(self) -> list[dict[str, object]]:
        rows = json.loads(self.node("jobs", "--json").stdout)
        return sorted(rows, key=lambda row: str(row["first_at"]))

    def processes(self) -> dict[str, int]:
        found = json.loads(self.node("status", "--json").stdout)["processes"]
        assert isinstance(found, dict)
        return found

    def wait_for(self, jobs: int, *states: str) -> list[dict[str, object]]:
        wait_for(
            lambda: sum(row["state"] in states for row in self.jobs()) == jobs,
            lambda: f"{jobs} to be {states}: {[row['state'] for row in self.jobs()]}",
        )
        return self.jobs()


@pytest.fixture
def pacs() -> Iterator[FakePacs]:
    with FakePacs() as running:
        yield running


@contextmanager
def running(folder: Path, pacs: FakePacs) -> Iterator[Running]:
    path = config(folder, pacs)
    with program(path) as (port, output):
        yield Running(path, port, output)


def add(path: Path, text: str) -> None:
    path.write_text(path.read_text() + text)


def test_rules_are_taken_while_the_node_runs_and_a_wrong_file_changes_nothing(
    tmp_path: Path, pacs: FakePacs
) -> None:
    with running(tmp_path, pacs) as node:
        before = node.processes()
        add(node.path, RULE.format(name="keep", more="convert = false\n"))
        done = node.node("reload")
        assert (done.exit_code, done.stdout) == (0, "the node has taken its settings\n")
        send(node.port, [cine(tmp_path / "sent", "one")])
        assert node.wait_for(1, "kept")[0]["rule"] == "keep"
        after = node.processes()
        assert {role for role in after if after[role] != before[role]} == {"coordinator"}

        good = node.path.read_text()
        add(node.path, RULE.format(name="bad", more='destinations = ["nowhere"]\n'))
        refused = node.node("reload")
        assert refused.exit_code == 5
        assert "no destination is called 'nowhere'" in refused.stderr
        os.kill(int((Layout(tmp_path / "node").lock).read_text()), signal.SIGHUP)  # as a service manager does
        wait_for(lambda: last_answer(Layout(tmp_path / "node")).number == 2, "the answer of the node")
        assert "no destination is called 'nowhere'" in last_answer(Layout(tmp_path / "node")).reason
        send(node.port, [cine(tmp_path / "sent", "two")])
        node.path.write_text(good)  # for the commands; the node has it in mind
        assert {row["rule"] for row in node.wait_for(2, "kept")} == {"keep"}

        for role in ("coordinator", "worker.auto"):  # their successors begin with what was taken
            os.kill(node.processes()[role], signal.SIGKILL)
        send(node.port, [cine(tmp_path / "sent", "again")])
        assert {row["rule"] for row in node.wait_for(3, "kept")} == {"keep"}

        node.path.write_text(good.replace("convert = false", "bits = 8"))
        assert node.node("reload", "--json").stdout == '{\n  "taken": true\n}\n'
        send(node.port, [cine(tmp_path / "sent", "three")])
        node.wait_for(1, "done")
        assert len(pacs.stored) == 1
        died = [line for line in node.output.read_text().splitlines() if "process died" in line]
        assert len(died) == 2  # those that were killed: to begin anew for a reload is no death


def test_what_takes_a_restart_is_refused_by_name_and_nothing_of_the_rest_is_taken(
    tmp_path: Path, pacs: FakePacs
) -> None:
    with running(tmp_path, pacs) as node:
        text = node.path.read_text().replace('engine = "torch"', 'engine = "torch"\nbatch_frames = 7')
        node.path.write_text(text.replace("port = 0", 'port = 0\nae_title = "OTHER"'))
        add(node.path, RULE.format(name="keep", more="convert = false\n"))

        refused = node.node("reload")

        assert refused.exit_code == 5
        assert (
            "a restart is needed for listener.ae_title, worker.batch_frames: nothing was taken"
            in refused.stderr
        )
        send(node.port, [cine(tmp_path / "sent", "one")])
        assert node.wait_for(1, "done")[0]["rule"] == ""


def test_an_association_that_is_open_and_a_conversion_under_way_survive_a_reload(
    tmp_path: Path, pacs: FakePacs
) -> None:
    with running(tmp_path, pacs) as node:
        ae = AE("CATHLAB")
        ae.add_requested_context(Verification)
        open_one = ae.associate("127.0.0.1", node.port, ae_title="CASGAN")
        assert open_one.is_established
        send(node.port, [cine(tmp_path / "sent", "long", frames=60)])
        wait_for(lambda: any(row["progress"] for row in node.jobs()), "a conversion under way")
        before = node.processes()
        add(node.path, RULE.format(name="keep", more="convert = false\n"))
        add(node.path, '[[peers]]\nae_title = "NEW"\n')

        assert node.node("reload").exit_code == 0

        assert open_one.send_c_echo().Status == 0
        open_one.release()
        (row,) = node.wait_for(1, "done")
        after = node.processes()
        assert {role for role in after if after[role] != before[role]} == {"coordinator"}
        assert (row["rule"], row["state"]) == ("", "done")
        assert set(pacs.requests.values()) == {1}
        send(node.port, [cine(tmp_path / "sent", "new")], ae_title="NEW")  # a peer since the reload
        node.wait_for(1, "kept")


def test_a_peer_that_is_taken_out_may_not_come_in_any_more(tmp_path: Path, pacs: FakePacs) -> None:
    with running(tmp_path, pacs) as node:
        send(node.port, [cine(tmp_path / "sent", "one")])
        node.path.write_text(node.path.read_text().replace('ae_title = "CATHLAB"', 'ae_title = "OTHER"'))

        assert node.node("reload").exit_code == 0

        with pytest.raises(PeerError):
            send(node.port, [cine(tmp_path / "sent", "two")])


def test_a_new_destination_is_sent_to_and_one_under_way_is_tried_again_after_the_reload(
    tmp_path: Path, pacs: FakePacs
) -> None:
    with running(tmp_path, pacs) as node, FakePacs() as other:
        pacs.close_port()
        send(node.port, [cine(tmp_path / "sent", "one")])
        node.wait_for(1, "delivering")
        add(
            node.path,
            f'[[destinations]]\nname = "other"\nhost = "127.0.0.1"\nport = {other.port}\n'
            f'ae_title = "{other.ae_title}"\n[retry]\nfirst_seconds = 0.2\nlongest_seconds = 0.5\n',
        )
        before = node.processes()

        assert node.node("reload").exit_code == 0

        after = node.processes()
        assert {role for role in after if after[role] != before[role]} == {"coordinator", "sender"}
        pacs.open_port()
        send(node.port, [cine(tmp_path / "sent", "two")])
        node.wait_for(2, "done")
        assert (len(pacs.stored), len(other.stored)) == (2, 1)


def test_where_no_node_runs_nothing_is_reloaded(tmp_path: Path, pacs: FakePacs) -> None:
    with running(tmp_path, pacs) as node:
        layout = Layout(tmp_path / "node")
        assert supervisor_of(layout) is not None

    assert supervisor_of(layout) is None
    stopped = node.node("reload")
    assert stopped.exit_code == 5
    assert "no node runs on this data folder" in stopped.stderr


def test_a_terminal_that_hangs_up_ends_the_node_although_it_sends_the_same_signal(
    tmp_path: Path, pacs: FakePacs
) -> None:
    mine, terminal = pty.openpty()
    process = subprocess.Popen(
        [str(PROGRAM), "node", "--config", str(config(tmp_path, pacs))],
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509  # no thread is started here
    )
    os.close(terminal)
    said = b""
    while b"stop:" not in said:
        said += os.read(mine, 4096)

    os.close(mine)

    process.wait(WAIT_SECONDS)
    assert not is_held(Layout(tmp_path / "node"))
