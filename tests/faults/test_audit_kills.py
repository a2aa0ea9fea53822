"""R19: kill -9 of who writes the audit trail, in the middle of a line too, and of who sends it.

Three processes write at a time; each of them is killed in a call drawn beforehand that writes to the trail,
after a number of bytes drawn too. A fourth sends the trail to a syslog server, and is killed at any moment.

Short: 12 kills of writers. Long (--soak): 300.
"""

from __future__ import annotations

import random
import re
import signal
import subprocess
import sys
from pathlib import Path

from casgan_dicom.node.settings import AuditSettings
from casgan_dicom.node.state.audit import Audit
from casgan_dicom.node.state.audit_chain import read_line
from casgan_dicom.node.state.audit_check import check, lines_of
from casgan_dicom.node.state.audit_file import contents
from casgan_dicom.node.state.layout import Layout
from tests.node.nodes import wait_for
from tests.support.syslog_server import SyslogServer

SHORT, LONG, AT_ONCE = 12, 300, 3
SETTINGS = AuditSettings(max_bytes=30_000, files=1000, host="127.0.0.1", transport="tcp")

WRITER = """
import os, sys
from pathlib import Path
from casgan_dicom.node.settings import AuditSettings
from casgan_dicom.node.state import audit_file
from casgan_dicom.node.state.audit import Audit
from casgan_dicom.node.state.layout import Layout

folder, name, at, length = sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
write, calls = os.write, 0

class Killed:
    def __getattr__(self, name):
        return getattr(os, name)

    def write(self, handle, content):
        global calls
        calls += 1
        if calls == at:
            write(handle, content[: round(length * len(content))])
            os.kill(os.getpid(), 9)
        return write(handle, content)

audit_file.os = Killed()
audit = Audit(Layout(Path(folder)), AuditSettings(max_bytes=30_000, files=1000), "CASGAN")
number = 0
while True:
    audit.rejected(f"{name}-{number}", "CASGAN", "10.1.2.3", "caller is not among the peers")
    print(number, flush=True)
    number += 1
"""

COURIER = """
import sys, threading
from pathlib import Path
from casgan_dicom.node.settings import AuditSettings, NodeSettings
from casgan_dicom.node.work.courier import run_courier

audit = AuditSettings(
    host="127.0.0.1", port=int(sys.argv[2]), transport="tcp", response_seconds=5, longest_seconds=0.2,
    max_bytes=30_000, files=1000,
)
run_courier(NodeSettings(data=Path(sys.argv[1]), audit=audit), lambda: None, threading.Event())
"""


def courier(layout: Layout, port: int) -> subprocess.Popen[bytes]:
    """A process that sends the trail."""
    command = [sys.executable, "-c", COURIER, str(layout.data), str(port)]
    return subprocess.Popen(command, stderr=subprocess.DEVNULL)


def killed_writers(layout: Layout, turn: int, chance: random.Random) -> dict[str, int]:
    """Let some write at a time until each of them is killed; how many lines each was told to be written."""
    writers = {}
    for name in (f"W{turn}.{number}" for number in range(AT_ONCE)):
        call, length = chance.randint(2, 40), chance.choice([0.0, chance.random(), 1.0])
        command = [sys.executable, "-c", WRITER, str(layout.data), name, str(call), str(length)]
        writers[name] = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    said = {name: writer.communicate(timeout=240)[0].count(b"\n") for name, writer in writers.items()}
    assert {writer.returncode for writer in writers.values()} == {-signal.SIGKILL}
    return said


def test_whenever_a_writer_is_killed_the_chain_is_whole_and_every_line_is_sent(
    tmp_path: Path, soak: bool
) -> None:
    chance, layout = random.Random(18), Layout(tmp_path / "node")
    layout.data.mkdir()
    said: dict[str, int] = {}
    with SyslogServer() as server:
        for turn in range((LONG if soak else SHORT) // AT_ONCE):
            seen = len(server.messages)
            sending = courier(layout, server.port)
            said |= killed_writers(layout, turn, chance)
            wait_for(lambda: len(server.messages) > seen, "some lines at the server")  # noqa: B023
            sending.kill()
            sending.wait()
        Audit(layout, SETTINGS, "CASGAN").stopped()
        last = layout.audit.read_bytes().splitlines()[-1]
        sending = courier(layout, server.port)
        try:
            wait_for(lambda: last in server.messages, "the last line at the server")
        finally:
            sending.kill()
            sending.wait()
        arrived = list(server.messages)

    files = list(contents(layout.audit))
    found = check(line for name, content in files for line in lines_of(name, content))
    assert found.breaks == ()
    assert found.lines == found.head.seq
    lines = [line for _, content in files for line in content.splitlines() if read_line(line) is not None]
    told = re.findall(r'AETITLES=(W[\d.]+)-(\d+)"', b"\n".join(lines).decode())
    for name, count in said.items():  # what its writer was told is there, and at most one line more
        numbers = [int(number) for each, number in told if each == name]
        assert numbers in (list(range(count)), list(range(count + 1)))
    assert list(dict.fromkeys(arrived)) == lines
    sys.stdout.write(
        f"\nR19: {len(said)} kills of writers, {len(found.torn)} pieces of lines, {found.lines} lines in"
        f" {len(files)} files: the chain whole; {len(arrived)} sent, each line at least once, in order\n"
    )
