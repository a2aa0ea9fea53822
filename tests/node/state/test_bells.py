"""Bells between processes: heard when they ring, and nobody waits for one that nobody has."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from time import monotonic

import pytest

from casgan_dicom.node.state.bells import Bell, ring

PATIENT = 60.0
"""Seconds until a test gives up."""
_SLEEP = 0.2


@pytest.fixture
def bell(tmp_path: Path) -> Iterator[Bell]:
    made = Bell(tmp_path / "bells", "mine")
    yield made
    made.close()


def hears(bell: Bell) -> bool:
    """Whether a bell has rung: then nobody sleeps."""
    began = monotonic()
    bell.wait(_SLEEP)
    return monotonic() - began < 0.9 * _SLEEP


def test_who_sleeps_is_woken_by_another_process(bell: Bell, tmp_path: Path) -> None:
    code = (
        "import sys, pathlib; from casgan_dicom.node.state.bells import ring;"
        "ring(pathlib.Path(sys.argv[1]), 'mine')"
    )
    sleeper = threading.Thread(target=bell.wait, args=[PATIENT], daemon=True)
    sleeper.start()

    subprocess.run([sys.executable, "-c", code, str(tmp_path / "bells")], check=True)

    sleeper.join(PATIENT)
    assert not sleeper.is_alive()


def test_a_ring_before_the_sleep_is_heard_and_many_count_as_one(bell: Bell, tmp_path: Path) -> None:
    for _ in range(100_000):  # more than a pipe holds
        ring(tmp_path / "bells", "mine")

    bell.wait(PATIENT)

    assert not hears(bell)


def test_a_sleep_without_a_ring_ends(bell: Bell) -> None:
    bell.wait(0.01)
    bell.wait(-1)


def test_ringing_where_nobody_listens_does_nothing(bell: Bell, tmp_path: Path) -> None:
    ring(tmp_path / "bells", "yours")
    ring(tmp_path / "nowhere", "mine")
    bell.close()
    ring(tmp_path / "bells", "mine")

    again = Bell(tmp_path / "bells", "mine")

    assert not hears(again)


def test_what_is_no_pipe_is_not_listened_to(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("")
    with pytest.raises(FileExistsError, match="is no pipe"):
        Bell(tmp_path, "mine")
