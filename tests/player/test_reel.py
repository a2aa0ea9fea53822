"""Frames that are decoded while others are read: who asks waits, faults come after the frames before them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from casgan_dicom.errors import PixelError
from casgan_dicom.player.open_exhibits import OpenExhibits
from casgan_dicom.player.reel import Pattern, Reel
from casgan_dicom.player.shelf import Exhibit
from tests.support.factories import moving_frames, write_xa
from tests.support.waiting import wait_for

DEADLINE_S = 60.0


def numbered(count: int, gate: Callable[[int], object] = lambda _: None) -> Iterator[Pattern]:
    """Frames of 2 × 3, each of its number; `gate` is asked before each."""
    for k in range(count):
        gate(k)
        yield np.full((2, 3), k, np.uint16)


def test_frames_are_bytes_up_to_eight_bits_and_words_above() -> None:
    narrow, wide = Reel(lambda: numbered(4), 4, 6, 8), Reel(lambda: numbered(4), 4, 6, 9)

    assert narrow.read(1, 2) == bytes([1] * 6 + [2] * 6)
    assert wide.read(3, 3) == bytes([3, 0] * 6)
    narrow.close()
    wide.close()


def test_a_frame_is_there_before_the_next_is_decoded() -> None:
    third = threading.Event()
    reel = Reel(lambda: numbered(4, lambda k: third.wait(DEADLINE_S) if k == 2 else None), 4, 6, 8)

    assert reel.read(0, 1) == bytes([0] * 6 + [1] * 6)
    third.set()
    assert reel.read(3, 3) == bytes([3] * 6)
    reel.close()


def test_decoding_is_done_once_for_all_who_ask() -> None:
    begun = []

    def decode() -> Iterator[Pattern]:
        begun.append(1)
        return numbered(50)

    reel = Reel(decode, 50, 6, 8)
    found: list[bytes] = []
    threads = [threading.Thread(target=lambda: found.append(reel.read(0, 49))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    reel.close()

    assert len(begun) == 1
    assert len(found) == 8
    assert set(found) == {b"".join(bytes([k] * 6) for k in range(50))}


@pytest.mark.parametrize("error", [PixelError("frame 3 is broken"), OSError(28, "No space left on device")])
def test_frames_before_a_fault_are_read_and_those_after_it_say_why(error: Exception) -> None:
    def gate(k: int) -> None:
        if k == 2:
            raise error

    reel = Reel(lambda: numbered(4, gate), 4, 6, 8)

    assert reel.read(0, 1) == bytes([0] * 6 + [1] * 6)
    with pytest.raises(PixelError, match=r"frame 3 is broken|No space left"):
        reel.read(1, 2)
    reel.close()


def test_who_waits_for_a_frame_is_told_when_the_reel_is_closed() -> None:
    stuck, free = threading.Event(), threading.Event()

    def gate(k: int) -> None:
        if k == 1:
            stuck.set()
            free.wait(DEADLINE_S)

    reel = Reel(lambda: numbered(4, gate), 4, 6, 8)
    told: list[str] = []

    def ask() -> None:
        try:
            reel.read(0, 3)
        except PixelError as error:
            told.append(error.message)

    thread = threading.Thread(target=ask)
    thread.start()
    assert stuck.wait(DEADLINE_S)
    reel.close()
    thread.join(DEADLINE_S)
    free.set()

    assert told == ["these frames were let go meanwhile: load the page again"]
    with pytest.raises(PixelError, match="let go"):
        reel.read(0, 0)


def test_only_so_many_exhibits_stay_open(tmp_path: Path) -> None:
    exhibits = OpenExhibits(kept=2)
    three = [Exhibit((write_xa(tmp_path / name, moving_frames(3)),), ()) for name in "abc"]
    first = exhibits.scene(three[0])
    reel = first.runs[0].tracks["source"].reel
    assert len(reel.read(0, 2)) == 3 * 64 * 80
    exhibits.scene(three[1])
    assert exhibits.scene(three[0]) is first  # looked at again: the other is older now
    exhibits.scene(three[2])
    assert exhibits.scene(three[0]) is first
    exhibits.scene(three[1])
    exhibits.scene(three[2])

    with pytest.raises(PixelError, match="let go"):
        reel.read(0, 0)
    assert exhibits.scene(three[0]) is not first
    exhibits.close()


def test_an_exhibit_whose_files_changed_is_opened_anew_where_that_is_asked(tmp_path: Path) -> None:
    exhibits = OpenExhibits()
    exhibit = Exhibit((write_xa(tmp_path / "a", moving_frames(3)),), ())
    first = exhibits.scene(exhibit, anew=True)
    assert exhibits.scene(exhibit, anew=True) is first
    write_xa(tmp_path / "a", moving_frames(5))

    assert exhibits.scene(exhibit) is first
    second = exhibits.scene(exhibit, anew=True)

    assert second.runs[0].tracks["source"].reel.frames == 5
    exhibits.close()


def test_several_who_ask_at_once_get_the_same_open_exhibit(tmp_path: Path) -> None:
    exhibits = OpenExhibits()
    exhibit = Exhibit((write_xa(tmp_path / "a", moving_frames(3)),), ())
    found: list[object] = []
    threads = [threading.Thread(target=lambda: found.append(exhibits.scene(exhibit))) for _ in range(8)]
    for thread in threads:
        thread.start()
    wait_for(lambda: len(found) == 8, "eight answers", DEADLINE_S)

    assert len(set(map(id, found))) == 1
    exhibits.close()
