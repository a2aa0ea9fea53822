"""Headless Chromium in front of the viewer: what a person would press, and what they would see.

Debian's Chromium, driven by Playwright, which brings no browser of its own. WebGL is drawn in software, by
SwiftShader, so the picture is the same with and without a graphics card. What is seen is read from the
screen, never from the state of the viewer.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import numpy.typing as npt
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, sync_playwright

from tests.support.programs import find_program
from tests.support.waiting import wait_for

Picture = npt.NDArray[np.float64]

OPEN_SECONDS = 90.0
"""Deadline; on an idle machine with two cores a study is on the screen in 6 s."""
STEP_SECONDS = 20.0
"""Deadline of one key press; it takes 0.1 s."""

_OPTIONS = (
    "--no-sandbox",  # root has to; it opens nothing but pages of ours
    "--disable-dev-shm-usage",
)
_WEBGL = ("--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader")
_NO_WEBGL = ("--disable-gpu",)
"""A page that needs no WebGL is drawn without it in a quarter of the time."""
_POSITION = re.compile(r"\((\d+)/(\d+)\)")
"""Number of the frame, from 1, and of how many, as in ``I: 3 (3/15)``."""
_LOOK = """() => {
  const small = window.small ??= new OffscreenCanvas(24, 24).getContext('2d', { willReadFrequently: true });
  small.drawImage(document.querySelector('canvas.cornerstone-canvas'), 0, 0, 24, 24);
  return small.getImageData(0, 0, 24, 24).data.join();
}"""
"""What is on the canvas, in small."""
LOOK_MS = 10
"""Between two looks at a cine that plays, in milliseconds of the page's clock."""


@contextmanager
def chromium(*, webgl: bool = True) -> Iterator[Browser]:
    """A browser without windows, for the time of a `with`."""
    program = find_program("chromium", "chromium")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=program, args=[*_OPTIONS, *(_WEBGL if webgl else _NO_WEBGL)]
        )
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def looking_at(browser: Browser, url: str) -> Iterator[Screen]:
    """A fresh session at an address: nothing remembered, nothing kept."""
    with browser.new_context(viewport={"width": 1000, "height": 640}) as context:
        page = context.new_page()
        page.clock.install()  # it goes as usual until `Screen.changes` stops it
        hosts: set[str] = set()
        context.on("request", lambda request: hosts.add(urlsplit(request.url).hostname or ""))
        page.goto(url)
        screen = Screen(page, hosts)
        screen.wait_until_open()
        yield screen


@dataclass(frozen=True)
class Screen:
    """One page of the viewer with one viewport."""

    page: Page
    """What Playwright drives."""
    hosts: set[str]
    """Hosts that anything was requested of; "" for data inside the page."""

    def wait_until_open(self) -> None:
        """Wait for the picture's place and the number of its frame."""
        self._canvas.wait_for(timeout=1000 * OPEN_SECONDS)
        wait_for(lambda: self._position() is not None, "a frame number on the screen", OPEN_SECONDS)

    def count(self) -> int:
        """How many frames the viewer says there are."""
        position = self._position()
        assert position is not None, "no frame number on the screen"
        return position[1]

    def open_beside(self, series_number: int) -> None:
        """Open another series of the study by its picture in the list, as a person would."""
        number = self.page.get_by_text(f"S:{series_number}", exact=True)
        self.page.locator("[data-cy=study-browser-thumbnail]").filter(has=number).dblclick()
        self.wait_until_open()

    def text(self) -> str:
        """All text on the screen."""
        return self.page.locator("body").inner_text()

    def go_to(self, frame: int) -> None:
        """Press the arrow keys until the viewer says that it shows this frame, counted from 0."""
        while (now := self._frame()) != frame:
            self._step("ArrowDown" if now < frame else "ArrowUp", now)

    def picture(self, rows: int, columns: int, part: float = 0.6) -> Picture:
        """The middle `part` of an image of this size, as seen: (y, x) in screen pixels, 0 to 255.

        The viewer shows an image as large as the viewport permits, in its middle; words are in the corners.
        """
        box = self._canvas.bounding_box()
        assert box is not None, "the viewer shows no picture"
        scale = min(box["width"] / columns, box["height"] / rows)
        width, height = part * scale * columns, part * scale * rows
        left = box["x"] + (box["width"] - width) / 2
        top = box["y"] + (box["height"] - height) / 2
        shot = self.page.screenshot(clip={"x": left, "y": top, "width": width, "height": height})
        return np.asarray(Image.open(io.BytesIO(shot)).convert("L"), dtype=np.float64)

    def save(self, path: Path) -> None:
        """Write the whole screen as a PNG."""
        self.page.screenshot(path=path)

    def play(self) -> int:
        """Press play in the cine player, which a cine opens; frames per second that it says it plays."""
        button = self.page.locator("[data-cy=cine-player-play-pause]")
        button.wait_for(timeout=1000 * STEP_SECONDS)
        shown = int(self._player.locator("input").first.input_value())
        button.click()
        return shown

    def changes(self, seconds: float) -> list[float]:
        """When, in seconds, the picture became another while the page's clock went on by so much.

        The clock is stopped and goes on by `LOOK_MS` between two looks, so it matters to none of these times
        how busy the machine is. It stands still afterwards.
        """
        clock = self.page.clock
        clock.pause_at(self.page.evaluate("Date.now() / 1000 + 2"))  # what it jumps over is played
        times, last = [], self.page.evaluate(_LOOK)
        for step in range(round(1000 * seconds / LOOK_MS)):
            clock.run_for(LOOK_MS)
            seen = self.page.evaluate(_LOOK)
            if seen != last:
                times.append(step * LOOK_MS / 1000)
            last = seen
        return times

    def _step(self, key: str, before: int) -> None:
        self.page.keyboard.press(key)
        wait_for(lambda: self._frame() != before, f"another frame than {before}", STEP_SECONDS)

    @property
    def _canvas(self) -> Locator:
        return self.page.locator("canvas.cornerstone-canvas").first

    @property
    def _player(self) -> Locator:
        return self.page.locator("div:has(> [data-cy=cine-player-play-pause])")

    def _position(self) -> tuple[int, int] | None:
        found = _POSITION.search(self.text())
        return (int(found[1]), int(found[2])) if found else None

    def _frame(self) -> int:
        position = self._position()
        return -1 if position is None else position[0] - 1


def middle_of(frame: npt.NDArray[np.generic], shape: tuple[int, ...], part: float = 0.6) -> Picture:
    """The same part of a frame as `Screen.picture` gives, brought to the shape of that."""
    rows, columns = frame.shape
    height, width = part * rows, part * columns
    top, left = (rows - height) / 2, (columns - width) / 2
    image = Image.fromarray(np.asarray(frame, dtype=np.float32))
    box = (left, top, left + width, top + height)
    resized = image.resize((shape[1], shape[0]), Image.Resampling.BILINEAR, box=box)
    return np.asarray(resized, dtype=np.float64)


def likeness(seen: Picture, frame: npt.NDArray[np.generic]) -> float:
    """Correlation of what is seen with the middle of a frame; 0 where nothing but one grey is seen."""
    if seen.std() == 0:
        return 0.0
    return float(np.corrcoef(seen.ravel(), middle_of(frame, seen.shape).ravel())[0, 1])
