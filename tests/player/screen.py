"""The player in headless Chromium: what a person would press, and the pixels that are on its canvases."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import numpy as np
import numpy.typing as npt
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from casgan_dicom.pixels.display import to_stored
from casgan_dicom.player.open_exhibits import OpenExhibits
from casgan_dicom.player.shelf import Exhibit
from casgan_dicom.player.viewing import view_app
from tests.player.exhibits import DEADLINE_S, served
from tests.support.cines import shown
from tests.support.waiting import wait_for

Pixels = npt.NDArray[np.uint8]
Size = tuple[int, int]

DESKTOP: Size = (1280, 800)
TABLET: Size = (820, 1180)
_READ = """canvas => {
  const { width, height } = canvas;
  const bytes = canvas.getContext('2d').getImageData(0, 0, width, height).data;
  let text = '';
  for (let i = 0; i < bytes.length; i++) text += String.fromCharCode(bytes[i]);
  return [width, height, btoa(text)];
}"""
_BOTH = """() => ['source', 'derived'].map(
  name => Number(document.querySelector(`canvas[data-picture="${name}"]`).dataset.position))"""


@dataclass
class Screen:
    """One page with one player."""

    page: Page
    """What Playwright drives."""
    hosts: set[str] = field(default_factory=set)
    """Hosts that anything was requested of; "" for data inside the page."""
    complaints: list[str] = field(default_factory=list)
    """What the browser said of errors, of the policy among them."""

    def press(self, *keys: str) -> None:
        """Press keys, one after the other."""
        for key in keys:
            self.page.keyboard.press(key)

    def at(self, position: int) -> None:
        """Wait until the player shows this frame, counted from 0."""
        self.page.locator(f'.casgan-player[data-position="{position}"]').wait_for(timeout=1000 * DEADLINE_S)

    def position(self) -> int:
        """Which frame is shown, from 0."""
        return int(self.page.locator(".casgan-player").get_attribute("data-position") or "-1")

    def colours(self, picture: str) -> npt.NDArray[np.uint8]:
        """Pixels of a canvas, (rows, columns, RGBA)."""
        found = self.page.locator(f'canvas[data-picture="{picture}"]').evaluate(_READ)
        width, height, text = found
        return np.frombuffer(base64.b64decode(text), np.uint8).reshape(height, width, 4)

    def grey(self, picture: str) -> Pixels:
        """Grey values of a canvas, (rows, columns); fails where one is coloured or missing."""
        colours = self.colours(picture)
        assert (colours[..., 3] == 255).all(), "something is not drawn"
        assert (colours[..., 0] == colours[..., 1]).all()
        assert (colours[..., 0] == colours[..., 2]).all()
        return colours[..., 0]

    def both(self) -> list[int]:
        """The frames that the canvases of source and derived cine show at one moment."""
        found: list[int] = self.page.evaluate(_BOTH)
        return found

    def status(self) -> str:
        """What the player says is amiss."""
        return self.page.locator(".cp-status").inner_text()

    def axe(self) -> str:
        """What axe-core complains of; empty for nothing."""
        results = Axe().run(self.page)
        assert results.response["violations"] is not None
        return results.generate_report() if results.violations_count else ""


@contextmanager
def playing(
    browser: Browser, exhibit: Exhibit, size: Size = DESKTOP, *, stopped: bool = False
) -> Iterator[Screen]:
    """The page of ``casgan-dicom view`` with the first frame of an exhibit on it.

    With `stopped` the clock of the page stands still from then on, and goes on only by `page.clock.run_for`.
    """
    exhibits = OpenExhibits()
    app = view_app(exhibit, "secret", exhibits)
    with served(app) as address, looking_at(browser, f"{address}/secret/", size) as screen:
        screen.at(0)
        if stopped:
            screen.page.clock.pause_at(screen.page.evaluate("Date.now() / 1000 + 1"))
        yield screen
    exhibits.close()


@contextmanager
def looking_at(browser: Browser, address: str, size: Size = DESKTOP) -> Iterator[Screen]:
    """A fresh session at an address."""
    with browser.new_context(viewport={"width": size[0], "height": size[1]}) as context:
        page = context.new_page()
        page.clock.install()  # it goes as usual until it is stopped
        screen = Screen(page)
        context.on("request", lambda request: screen.hosts.add(urlsplit(request.url).hostname or ""))
        page.on("pageerror", lambda error: screen.complaints.append(str(error)))
        page.on("console", lambda said: screen.complaints.append(said.text) if said.type == "error" else None)
        page.goto(address)
        yield screen


def wait_until(screen: Screen, picture: str, wanted: Pixels, what: str) -> None:
    """Look at a canvas until it shows these grey values."""

    def seen() -> bool:
        return bool((screen.colours(picture)[..., :3] == wanted[..., None]).all())

    wait_for(seen, what, DEADLINE_S)


def display_of(exhibit: Exhibit, *, derived: bool) -> Pixels:
    """Grey values of every frame as our own conversion would show them, (frames, rows, columns)."""
    paths = exhibit.derived if derived else exhibit.sources
    display = np.concatenate([shown(path) for path in paths]).astype(np.float32)
    return to_stored(display).astype(np.uint8)
