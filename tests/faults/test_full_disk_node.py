"""R7 for a whole node: every process of it meets a full disk, and goes on when there is room again."""

from __future__ import annotations

import subprocess
from contextlib import suppress
from pathlib import Path
from time import monotonic, sleep

from casgan_dicom.errors import PeerError
from casgan_dicom.node.state.layout import Layout
from tests.faults.modality import cine, send, send_until_stored
from tests.faults.test_full_disk import mount_namespace
from tests.node.nodes import config, program, wait_for
from tests.support.fake_pacs import FakePacs

FULL_SECONDS = 12.0
"""Long enough that every process has something to write, and fails."""
_IMPATIENT = "[restart]\nlongest_seconds = 1.0\n[retry]\nfirst_seconds = 0.2\nlongest_seconds = 1.0\n"
_MOUNT = 'mount -t tmpfs -o size=24M none "$0" && exec "$@"'


def fill(ballast: Path) -> None:
    """Write until there is no room."""
    with ballast.open("wb") as file, suppress(OSError):
        while True:
            file.write(bytes(65536))
            file.flush()


def node_process(port: int) -> int:
    """The process that listens at a port: its root is where the small disk is mounted."""
    found = subprocess.run(["ss", "-ltnpH", f"sport = :{port}"], capture_output=True, text=True, check=True)
    return int(found.stdout.partition("pid=")[2].partition(",")[0])


def test_a_full_disk_ends_nothing_and_everything_is_delivered_when_there_is_room_again(
    tmp_path: Path,
) -> None:
    runs = [cine(tmp_path / "sent", name) for name in ("before", "while full", "after")]
    (tmp_path / "node").mkdir()
    with FakePacs() as pacs:
        settings = config(tmp_path, pacs)
        with settings.open("a") as file:
            file.write(
                "[restart]\nlongest_seconds = 1.0\n[retry]\nfirst_seconds = 0.2\nlongest_seconds = 1.0\n"
            )
        text = settings.read_text().replace("[listener]\n", "[listener]\nmin_free_bytes = 0\n")
        settings.write_text(text)
        before = [*mount_namespace(), "sh", "-c", _MOUNT, str(tmp_path / "node")]
        with program(settings, *before) as (port, output):
            data = Path(f"/proc/{node_process(port)}/root{tmp_path}/node")
            pacs.close_port()
            send(port, [runs[0]])
            wait_for(lambda: '"state": "waiting"' in output.read_text(), "a delivery that waits")
            fill(data / "ballast")
            until = monotonic() + FULL_SECONDS
            refused = []
            while monotonic() < until:
                with suppress(PeerError):
                    refused += send(port, [runs[1]])
                sleep(0.5)
            (Path(f"/proc/{node_process(port)}/root{tmp_path}/node") / "ballast").unlink()
            pacs.open_port()
            for run in runs[1:]:
                send_until_stored(port, [run])
            wait_for(lambda: len(pacs.stored) == 3, "three deliveries")
            parts = list(Layout(data).incoming.iterdir())

    assert {result.status for result in refused} == {0xA700}
    assert parts == []
