"""R15: kill -9 of whoever sends to destinations beside C-STORE, and what is there after that.

Short: 2 kills over 12 objects, 3 in a folder. Long (--soak): 50 over 150.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from casgan_dicom.node.state.deliveries import Deliveries, Derived
from casgan_dicom.node.state.layout import Layout
from casgan_dicom.node.state.ledger import Ledger
from casgan_dicom.node.state.receipts import Receipts
from tests.node.ledgers import received
from tests.support.factories import moving_frames, uid, write_xa
from tests.support.web_server import Request, WebServer

ATTEMPT = """
import sys
from pathlib import Path
from casgan_dicom.node.settings import DestinationSettings, NodeSettings
from casgan_dicom.node.state.ledger import Ledger
from casgan_dicom.node.work.sender import Sender
path, job, key, value = sys.argv[1:]
web = {"kind": "stow", "url": value, "request_instances": 3}
place = web if key == "url" else {"kind": "folder", "folder": Path(value)}
settings = NodeSettings(data=Path(path).parent, destinations=(DestinationSettings("out", **place),))
sender = Sender(settings, Ledger(Path(path)))
print("begins", flush=True)
print(sender.attempt(job, "out", 1)["state"])
"""


class Sending:
    """A job with objects in the outbox, and processes that deliver it."""

    def __init__(self, folder: Path, key: str, value: object, *, objects: int) -> None:
        self.path = Layout(folder / "node").ledger
        self.path.parent.mkdir()
        ledger = Ledger(self.path)
        self.files = {
            uid(str(k)): write_xa(folder / f"{k}.dcm", moving_frames(8, 256, 256), SOPInstanceUID=uid(str(k)))
            for k in range(objects)
        }
        self.job = Receipts(ledger, "r").enter(received("a"), 1.0).job
        made = [Derived(name, uid("series"), path, "ab", 8) for name, path in self.files.items()]
        Deliveries(ledger).put(self.job, made, ["out"], 1.0)
        ledger.close()
        self._arguments = [str(self.path), self.job, key, str(value)]

    def begin(self) -> subprocess.Popen[str]:
        """A process that begins to send."""
        command = [sys.executable, "-c", ATTEMPT, *self._arguments]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        assert process.stdout.readline() == "begins\n"
        return process

    def end(self) -> str:
        """What a process comes to that nobody kills."""
        said, _ = self.begin().communicate(timeout=120)
        return said.strip()


@pytest.mark.parametrize("answers", [False, True], ids=["before the answer", "behind the answer"])
def test_a_server_gets_everything_and_no_request_more_than_there_were_kills(
    tmp_path: Path, answers: bool, soak: bool
) -> None:
    kills, objects = (50, 150) if soak else (2, 12)
    with WebServer() as server:
        sending = Sending(tmp_path, "url", server.url, objects=objects)
        for _ in range(kills):
            process, before = sending.begin(), len(server.requests)

            def kill(_: Request, process: subprocess.Popen[str] = process) -> None:
                os.kill(process.pid, signal.SIGKILL)

            server.on_request = kill
            if answers:  # let some answers through: the process may be anywhere behind one
                server.on_request = lambda _: None
                while len(server.requests) == before and process.poll() is None:
                    time.sleep(0.001)
                process.kill()
            process.communicate()
        server.on_request = lambda _: None

        assert sending.end() == "sent"
        requests = Counter(server.stored())

    assert requests.keys() == sending.files.keys()
    assert max(requests.values()) <= 1 + kills
    again = sum(requests.values()) - len(requests)
    assert again <= 3 * kills  # of each request, all its objects
    sys.stdout.write(f"\nR15: {kills} kills, {objects} objects over the web: all there, {again} sent again\n")


def test_a_folder_holds_whole_files_at_every_moment(tmp_path: Path, soak: bool) -> None:
    kills, objects = (50, 150) if soak else (3, 12)
    share, chance, there_before = tmp_path / "share", random.Random(3), list[int]()
    share.mkdir()
    sending = Sending(tmp_path, "folder", share, objects=objects)
    for _ in range(kills):
        process = sending.begin()
        time.sleep(chance.uniform(0, 0.05))
        process.kill()
        process.communicate()
        for path in share.rglob("*.dcm"):
            assert path.read_bytes() == sending.files[path.stem].read_bytes()
        there_before.append(len(list(share.rglob("*.dcm"))))

    assert sending.end() == "sent"

    there = {path.stem: path.read_bytes() for path in share.rglob("*") if path.is_file()}
    assert there == {name: path.read_bytes() for name, path in sending.files.items()}
    sys.stdout.write(
        f"\nR15: {kills} kills, {objects} files into a folder: whole at every moment; there after each kill: "
        f"{there_before}\n"
    )
