"""R7: a disk that fills up. The data folder is a small file system, in a mount namespace of its own.

Each without TLS and with it.
"""

from __future__ import annotations

import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import copyfile
from typing import Any

import pytest

from casgan_dicom.node.state.layout import Layout
from tests.faults.listener_process import ListenerProcess, stored
from tests.faults.senders import Template
from tests.node.listening import data_set_of, digest, wait_for
from tests.node.secure import Door
from tests.node.wire import EXPLICIT, XA, XA_CONTEXT, p_data, store_command
from tests.support.programs import find_program

MEBIBYTE = 2**20
_MOUNT = 'mount -t tmpfs -o size="$0" none "$1" && head -c 8M /dev/zero > "$1/ballast" && shift && exec "$@"'


@contextmanager
def on_small_disk(data: Path, size: str, keys: dict[str, Any]) -> Iterator[tuple[ListenerProcess, Layout]]:
    """A listener whose data folder has so much room, 8 MiB of it taken by a file called ballast.

    The layout leads to the folder through the process: nobody else sees the file system.
    """
    data.mkdir()
    namespace = mount_namespace()
    before = [*namespace, "sh", "-c", _MOUNT, size, str(data)]
    with ListenerProcess(data, before=before, keys=keys) as listener:
        yield listener, Layout(Path(f"/proc/{listener.pid}/root{data}"))


def mount_namespace() -> list[str]:
    """The command that makes a mount namespace; skips where that is not permitted."""
    unshare = find_program("unshare", "util-linux")
    for options in (["--mount"], ["--mount", "--map-root-user"]):
        tried = subprocess.run(
            [unshare, *options, "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True, check=False
        )
        if tried.returncode == 0:
            return [unshare, *options]
    pytest.skip("needs a mount namespace of its own, which this machine does not permit")


def names(layout: Layout) -> set[str]:
    """File names in the spool, without the digests in them."""
    return {path.name.partition("-")[0] for path in layout.spool.rglob("*") if path.is_file()}


def entered(layout: Layout, folder: Path) -> dict[tuple[str, str], Path]:
    """What the ledger says: of a copy, because SQLite does not find its log through another process."""
    folder.mkdir()
    for suffix in ("", "-wal"):
        copyfile(f"{layout.ledger}{suffix}", f"{Layout(folder).ledger}{suffix}")
    return stored(Layout(folder).ledger)


def test_full_disk_is_answered_and_over_when_there_is_room_again(
    tmp_path: Path, soak: bool, keys: dict[str, Any], context: ssl.SSLContext | None
) -> None:
    template, acknowledged, refusals = Template(tmp_path), dict[str, str](), 0
    disk = on_small_disk(tmp_path / "data", "24m", keys)
    with disk as (listener, layout), Door(listener.port, context).associated() as wire:
        for number in range(200 if soak else 60):
            length = (MEBIBYTE, 300_000, 40_000, 2_000)[min(refusals // 3, 3)]  # to the last page of the disk
            sop_uid, content = template.instance(number // 10, number, length)
            reply = wire.store(XA, sop_uid, content)
            if reply.status == 0:
                acknowledged[sop_uid] = digest(EXPLICIT, content)
            else:
                assert reply.status == 0xA700
                refusals += 1
            assert names(layout) == acknowledged.keys()
        assert refusals > 12
        assert wire.echo() == 0

        (layout.data / "ballast").unlink()
        sop_uid, content = template.instance(99, 9999, 6 * MEBIBYTE)
        assert wire.store(XA, sop_uid, content).status == 0
        acknowledged[sop_uid] = digest(EXPLICIT, content)

        rows = entered(layout, tmp_path / "copy")
        assert set(rows) == set(acknowledged.items())
        for (_, sha256), path in rows.items():
            assert digest(EXPLICIT, data_set_of(layout.spool / path.parent.name / path.name)) == sha256
        assert names(layout) == acknowledged.keys()
    how = ", with TLS" if keys else ""
    sys.stdout.write(
        f"\nR7{how}: {len(acknowledged)} instances stored and intact, {refusals} answered A700 on the full "
        "disk; the association kept, nothing unfinished left, the next instance stored without a restart\n"
    )


def test_disk_that_fills_up_in_the_middle_of_an_instance_is_free_again_at_once(
    tmp_path: Path, keys: dict[str, Any], context: ssl.SSLContext | None
) -> None:
    template = Template(tmp_path)
    sop_uid, content = template.instance(1, 1, 30 * MEBIBYTE)
    disk = on_small_disk(tmp_path / "data", "24m", keys)
    with disk as (listener, layout), Door(listener.port, context).associated() as wire:
        wire.send(p_data(XA_CONTEXT, 3, store_command(XA, sop_uid)))
        half = len(content) * 2 // 3
        for at in range(0, half, 100_000):
            wire.send(p_data(XA_CONTEXT, 0, content[at : min(at + 100_000, half)]))
        wait_for(lambda: not names(layout), "no part of the instance, although its end is to come")
        wire.send(p_data(XA_CONTEXT, 2, content[half : half + 1000]))

        reply = wire.reply()

        assert (reply.status, reply.comment) == (0xA700, "disk is full")
        assert wire.store(XA, *template.instance(1, 2, MEBIBYTE)).status == 0
