"""How soon the player shows a picture, and how many it shows a second, in headless Chromium without a GPU.

python -m tests.bench.bench_player [--size 512] [--frames 64] [--runs 5]

The page of ``casgan-dicom view`` with a source and a derived cine beside it, at 1280 × 800. The first picture
is counted from the navigation to the first frame of both on their canvases, the exhibit not opened before.
Frames a second are those that were drawn of a run whose header asks for 30. Beside the clock stands the time
of the processor, of all processes of the browser, which a busy machine changes less.
"""

from __future__ import annotations

import argparse
import io
import os
import statistics
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import Browser, Page
from pydicom import dcmwrite

from casgan_dicom.derived.picture import SyntheticCine
from casgan_dicom.pixels.framefile import FrameWriter
from casgan_dicom.pixels.stored import stored_pixels
from casgan_dicom.player.open_exhibits import OpenExhibits
from casgan_dicom.player.shelf import Exhibit
from casgan_dicom.player.viewing import view_app
from tests.bench.machine import machine, row, say
from tests.player.exhibits import served
from tests.support.cines import cine_of
from tests.support.derived import RAW, derivation_of
from tests.support.factories import moving_frames, write_xa
from tests.viewer.browser import chromium

FIRST_AIM_S, RATE_AIM = 0.5, 15.0
RATE = 30.0
"""Frames a second that the header asks for."""
SECONDS = 4.0
"""How long it plays."""
_WINDOW: Any = {"viewport": {"width": 1280, "height": 800}}
MODES = {"side by side": "s", "blink": "b", "curtain": "c", "difference": "d"}

_FIRST = """async () => {
  const shown = () => document.querySelector('.casgan-player[data-position="0"]');
  while (!shown()) await new Promise(requestAnimationFrame);
  return performance.now() / 1000;
}"""
_DRAWN = """async seconds => {
  const player = document.querySelector('.casgan-player');
  const [start, seen] = [performance.now(), []];
  while (performance.now() < start + 1000 * seconds) {
    await new Promise(requestAnimationFrame);
    if (seen.at(-1) !== player.dataset.position) seen.push(player.dataset.position);
  }
  return 1000 * (seen.length - 1) / (performance.now() - start);
}"""
"""Positions that followed each other while so many seconds passed, each second."""


def exhibit_of(folder: Path, size: int, frames: int) -> Exhibit:
    """A source of 8 bits, and a derived cine of the same frames, a little darker."""
    run = moving_frames(frames, size, size)
    source = write_xa(folder / "source", run, FrameTime=1000 / RATE)
    derivation = derivation_of(cine_of(source))
    writer = FrameWriter(io.BytesIO(), size, size)
    for frame in run:
        writer.write((frame * 0.9).astype(np.uint8))
    derived = SyntheticCine(derivation, stored_pixels(writer.finish(), RAW, io.BytesIO()))
    dcmwrite(folder / "derived", derived, enforce_file_format=True)
    return Exhibit((source,), (folder / "derived",))


def first_picture_s(browser: Browser, exhibit: Exhibit) -> float:
    """From the navigation to the first frame of both, of an exhibit that nobody has opened."""
    exhibits = OpenExhibits()
    with served(view_app(exhibit, "secret", exhibits)) as address, browser.new_context(**_WINDOW) as context:
        page = context.new_page()
        page.goto(f"{address}/secret/", wait_until="commit")
        seconds: float = page.evaluate(_FIRST)
    exhibits.close()
    return seconds


def drawn(page: Page, key: str) -> tuple[float, float]:
    """Frames drawn each second in a mode, once all are there, and milliseconds of the processor for each."""
    page.keyboard.press(key)
    page.wait_for_timeout(3000)  # until all frames have come
    before = _browser_s()
    each_second: float = page.evaluate(_DRAWN, SECONDS)
    return each_second, 1000 * (_browser_s() - before) / max(1.0, each_second * SECONDS)


def _browser_s() -> float:
    """Seconds of the processor that all processes below this one have taken."""
    parents, seconds = {}, {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it has ended meanwhile
            fields = stat.read_text().rpartition(")")[2].split()
            number = int(stat.parent.name)
            parents[number] = int(fields[1])
            seconds[number] = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return sum(spent for number, spent in seconds.items() if _is_below(number, parents))


def _is_below(number: int, parents: dict[int, int]) -> bool:
    while number > 1 and number in parents:
        number = parents[number]
        if number == os.getpid():
            return True
    return False


def main() -> None:
    """Print both figures, the second for every mode."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--frames", type=int, default=64)
    parser.add_argument("--runs", type=int, default=5)
    args = parser.parse_args()
    say(machine())
    say(f"{args.frames} frames of {args.size} × {args.size}, 8 bit, source and derived cine")
    with tempfile.TemporaryDirectory() as folder, chromium(webgl=False) as browser:
        exhibit = exhibit_of(Path(folder), args.size, args.frames)
        firsts = [first_picture_s(browser, exhibit) for _ in range(args.runs)]
        row(f"first picture, median of {args.runs}", statistics.median(firsts), "s", f"< {FIRST_AIM_S}")
        row("  the soonest of them", min(firsts), "s", "")
        exhibits = OpenExhibits()
        with served(view_app(exhibit, "secret", exhibits)) as address:
            page = browser.new_page(**_WINDOW)
            page.goto(f"{address}/secret/")
            page.evaluate(_FIRST)
            page.locator(".casgan-player").focus()
            page.keyboard.press(" ")
            for mode, key in MODES.items():
                each_second, busy_ms = drawn(page, key)
                row(f"{mode}, of {RATE:g} asked for", each_second, "fps", f">= {RATE_AIM:g}")
                row("  processor, of a frame", busy_ms, "ms", "")
        exhibits.close()
    say(machine())


if __name__ == "__main__":
    main()
