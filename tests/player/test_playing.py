"""The player in a browser over time and by its keys: one clock, every control by keyboard, nothing hidden."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, Route
from starlette.applications import Starlette
from starlette.responses import HTMLResponse
from starlette.routing import Mount
from starlette.routing import Route as Path_

from casgan_dicom.conversion.options import ConvertOptions
from casgan_dicom.conversion.pipeline import convert_series
from casgan_dicom.conversion.reference_choice import ReferenceChoice
from casgan_dicom.player.app import player_routes
from casgan_dicom.player.shelf import Exhibit
from tests.player.exhibits import DEADLINE_S, Here, converted, exhibit_in, served
from tests.player.screen import DESKTOP, TABLET, Screen, Size, display_of, looking_at, playing, wait_until
from tests.support.factories import moving_frames, uid, write_xa
from tests.support.roadmap import DarkIsVessel, target_frames, write_reference, write_target
from tests.support.waiting import wait_for
from tests.viewer.browser import chromium

pytestmark = pytest.mark.e2e

SIZES = [pytest.param(DESKTOP, id="desktop"), pytest.param(TABLET, id="tablet")]
WARNING = "AI SYNTHETIC - NOT FOR DIAGNOSIS"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium(webgl=False) as running:
        yield running


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Exhibit:
    """Twelve frames at ten a second, what was made of them, and a second run without anything."""
    folder = tmp_path_factory.mktemp("run")
    exhibit = exhibit_in(folder, moving_frames(12), {"maps": True, "sr": True}, FrameTime=100)
    other = {"SOPInstanceUID": uid("b"), "SeriesInstanceUID": uid("b series"), "PositionerPrimaryAngle": 40}
    second = write_xa(folder / "in" / "b", moving_frames(5), **other)
    return Exhibit((*exhibit.sources, second), exhibit.derived)


def plays(screen: Screen) -> bool:
    """Whether the player says that it plays."""
    return screen.page.locator(".casgan-player").get_attribute("data-playing") == "yes"


@pytest.mark.parametrize(("keys", "speed"), [([], 1), (["ArrowUp"], 2), (["ArrowDown", "ArrowDown"], 0.25)])
def test_it_plays_at_the_rate_of_the_header_times_the_speed(
    browser: Browser, run: Exhibit, keys: list[str], speed: float
) -> None:
    """By the clock of the page, which goes on only when it is told."""
    with playing(browser, run, stopped=True) as screen:
        screen.press(*keys, " ")
        assert plays(screen)
        screen.page.clock.run_for(50)  # from the key to the next picture of the screen
        before = screen.position()
        screen.page.clock.run_for(2000)
        passed = (screen.position() - before) % 12

    assert passed == pytest.approx((20 * speed) % 12, abs=1)


def test_both_cines_are_of_one_frame_at_every_moment(browser: Browser, run: Exhibit) -> None:
    source = display_of(Exhibit(run.sources[:1], ()), derived=False)
    seen = set()
    with playing(browser, run, stopped=True) as screen:
        screen.press(" ")
        for _ in range(40):
            screen.page.clock.run_for(70)
            k = screen.position()
            seen.add(k)
            assert screen.both() == [k, k]
            np.testing.assert_array_equal(screen.grey("source"), source[k])

    assert seen == set(range(12))


def test_the_clock_waits_for_frames_that_have_not_come(browser: Browser, run: Exhibit) -> None:
    """The derived frames after the first are held back: neither cine goes on alone."""
    held: list[Route] = []
    with playing(browser, run) as screen:
        screen.page.route("**/0/derived/frames/1-*", lambda route: held.insert(0, route))
        screen.page.reload()
        screen.at(0)
        screen.page.locator(".casgan-player").focus()
        screen.press(" ")
        wait_for(lambda: plays(screen) and held, "the request for frames", DEADLINE_S)
        screen.page.clock.run_for(1000)
        assert screen.both() == [0, 0]
        held[0].continue_()
        wait_for(lambda: screen.position() > 0, "the cine to go on", DEADLINE_S)
        one, other = screen.both()
        assert one == other


def test_keys_play_stop_and_step(browser: Browser, run: Exhibit) -> None:
    with playing(browser, run) as screen:
        screen.press(" ")
        wait_for(lambda: screen.position() > 2, "the cine to play", DEADLINE_S)
        screen.press(" ")
        assert not plays(screen)
        screen.press("Home", "ArrowLeft")  # around the end
        screen.at(11)
        screen.press("Shift+ArrowLeft")
        screen.at(1)
        screen.press(" ", "ArrowRight")  # a step ends playing
        assert not plays(screen)


def test_every_control_is_reached_and_worked_by_keys(browser: Browser, run: Exhibit) -> None:
    with playing(browser, run) as screen:
        names = []
        for _ in range(40):
            screen.press("Tab")
            names.append(screen.page.evaluate(_NAME))
            if names[-1] == "Frame":
                break
        assert names == [
            "Run", "About", "First frame", "Frame back", "Play", "Frame on", "Last frame", "Speed",
            "Side by side", "Attention", "Vessels", "Brightness", "Contrast", "Frame",
        ]  # fmt: skip
        screen.press("ArrowRight", "ArrowRight")
        screen.at(2)
        screen.page.get_by_label("Side by side").focus()
        screen.press("ArrowRight")
        mode = screen.page.locator(".casgan-player")
        wait_for(lambda: mode.get_attribute("data-mode") == "blink", "the next mode", DEADLINE_S)
        screen.page.get_by_role("button", name="Play").focus()
        screen.press(" ")
        assert plays(screen)


_NAME = """() => {
  const { activeElement: at } = document;
  return at.ariaLabel || at.closest('label')?.innerText.trim() || at.innerText;
}"""


def test_another_run_is_chosen_from_the_list(browser: Browser, run: Exhibit) -> None:
    frames = display_of(Exhibit(run.sources[1:], ()), derived=False)
    with playing(browser, run) as screen:
        screen.page.get_by_label("Run", exact=True).select_option("1")
        screen.page.get_by_text("LAO40", exact=True).wait_for()
        screen.page.locator(".casgan-player").focus()
        screen.press("End")
        screen.at(4)
        np.testing.assert_array_equal(screen.grey("source"), frames[4])


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("mode", ["s", "b", "c", "d"])
def test_axe_finds_nothing_in_any_mode(browser: Browser, run: Exhibit, size: Size, mode: str) -> None:
    with playing(browser, run, size) as screen:
        screen.press(mode)
        if mode == "s":
            screen.page.get_by_text("About").click()
        assert screen.axe() == ""


@pytest.mark.parametrize("size", SIZES)
def test_the_warning_is_in_sight_whatever_is_done(browser: Browser, run: Exhibit, size: Size) -> None:
    low = (size[0], 400)  # so that there is something to scroll
    with playing(browser, run, low) as screen:
        bar = screen.page.locator("[data-synthetic-bar]")
        for mode in ("s", "b", "c", "d", " "):
            screen.press(mode)
            screen.page.mouse.wheel(0, 5000)
            box = bar.bounding_box()
            assert box is not None
            assert (box["x"], box["y"], box["width"]) == (0, 0, size[0])
            top = screen.page.evaluate("document.elementFromPoint(innerWidth / 2, 10).textContent")
            assert top.strip() == WARNING
        screen.press("d")
        assert WARNING in screen.page.locator(".cp-mixed .cp-of-derived").inner_text()


def test_nothing_is_asked_of_another_host_and_the_policy_is_kept(browser: Browser, run: Exhibit) -> None:
    with playing(browser, run) as screen:
        screen.press("a", "v", "b", "c", "d", "s", "End")
        screen.at(11)
        assert screen.hosts <= {"127.0.0.1", ""}
        assert screen.complaints == []


def test_frames_that_cannot_be_decoded_are_said_and_the_others_shown(
    tmp_path: Path, browser: Browser
) -> None:
    exhibit = exhibit_in(tmp_path, moving_frames(12))
    source = exhibit.sources[0]
    source.write_bytes(source.read_bytes()[:-1000])

    with playing(browser, exhibit) as screen:
        wait_for(lambda: "cut short" in screen.status(), "the fault in words", DEADLINE_S)
        screen.press("End")
        screen.at(11)
        derived = display_of(Exhibit((), exhibit.derived), derived=True)
        np.testing.assert_array_equal(screen.grey("derived"), derived[11])
        assert not screen.grey("source").any()


def test_a_page_of_another_mounts_several_players_under_one_bar(tmp_path: Path, browser: Browser) -> None:
    """As a node's page does: another prefix, no bar of its own, its own policy."""
    path = write_xa(tmp_path / "a", moving_frames(4))
    exhibit = Exhibit((path,), converted(path, tmp_path / "out"))
    html = """<!doctype html><html lang="en"><title>page</title>
      <link rel="stylesheet" href="/some/where/static/player.css">
      <script type="module" src="/some/where/static/player.js"></script>
      <main><div data-player="/some/where/items/one"></div>
      <div data-player="/some/where/items/two"></div></main>"""
    policy = {"Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
              "img-src 'self' data:; connect-src 'self'"}  # fmt: skip
    app = Starlette(
        routes=[
            Path_("/jobs/7", lambda _: HTMLResponse(html, headers=policy)),
            Mount("/some/where", routes=player_routes(Here(exhibit))),
        ]
    )
    with served(app) as address, looking_at(browser, f"{address}/jobs/7") as screen:
        screen.at(0)
        wait_for(lambda: "no item of that name" in screen.page.locator("body").inner_text(), "it", DEADLINE_S)
        assert screen.page.locator("[data-synthetic-bar]").count() == 1
        screen.page.get_by_role("button", name="Frame on").click()
        screen.at(1)
        assert not [each for each in screen.complaints if "404" not in each]


def test_r_waves_and_what_was_laid_over_a_frame_are_marked(tmp_path: Path, browser: Browser) -> None:
    """R waves at frames 1 and 14 of twenty; the last six frames show another background and are refused."""
    target = write_target(tmp_path / "t" / "a", target_frames(strange=slice(14, 20)))
    reference = write_reference(tmp_path / "r" / "a")
    options = ConvertOptions(reference=ReferenceChoice((reference,)))
    convert_series([target], DarkIsVessel().as_generator, options, tmp_path / "out")
    derived = tuple((tmp_path / "out").rglob("*.dcm"))

    with playing(browser, Exhibit((target,), derived)) as screen:
        waves = screen.page.locator(".cp-wave")
        assert [round(float(wave.get_attribute("x1") or "nan")) for wave in waves.all()] == [
            0,
            684,
        ]  # 13 of 19
        assert screen.page.locator(".cp-drawn").count() == 14
        assert screen.page.locator(".cp-refused").count() == 6
        note = screen.page.locator(".cp-derived .cp-note")
        assert note.inner_text().startswith("own vessels of 10:42, frame ")
        screen.press("End")
        screen.at(19)
        assert note.inner_text().startswith("NO ROADMAP: ")


def test_brightness_and_contrast_change_both_cines_alike(tmp_path: Path, browser: Browser) -> None:
    exhibit = exhibit_in(tmp_path, moving_frames(3))
    pictures = {
        "source": display_of(Exhibit(exhibit.sources, ()), derived=False)[0],
        "derived": display_of(exhibit, derived=True)[0],
    }
    with playing(browser, exhibit) as screen:
        screen.page.get_by_label("Brightness").focus()
        screen.press(*["ArrowRight"] * 20)  # 20 % of the range
        for name, frame in pictures.items():
            wanted = np.clip(np.rint(frame.astype(np.float64) + 51), 0, 255).astype(np.uint8)
            wait_until(screen, name, wanted, f"a brighter {name}")


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("mode", "picture"), [("s", "derived"), ("c", "mixed"), ("d", "mixed")])
def test_what_is_opened_over_a_picture_hides_no_word_of_its_label(
    browser: Browser, run: Exhibit, size: Size, mode: str, picture: str
) -> None:
    with playing(browser, run, size) as screen:
        screen.press(mode)
        screen.page.get_by_text("About").click()
        screen.page.get_by_text("How it was made").wait_for()
        box = screen.page.locator(f".cp-{picture} .cp-of-derived").bounding_box()
        assert box is not None
        for share in (0.02, 0.5, 0.98):
            spot = [box["x"] + share * box["width"], box["y"] + box["height"] / 2]
            on_top = screen.page.evaluate("([x, y]) => document.elementFromPoint(x, y).textContent", spot)
            assert on_top == WARNING


@pytest.mark.parametrize("size", SIZES)
def test_each_mode_shows_its_pictures_and_no_other(browser: Browser, run: Exhibit, size: Size) -> None:
    with playing(browser, run, size) as screen:
        shown = screen.page.locator("canvas:visible")
        for mode, pictures in (
            ("s", ["source", "derived"]),
            ("b", ["mixed"]),
            ("c", ["mixed"]),
            ("d", ["mixed"]),
        ):
            screen.press(mode)
            assert [canvas.get_attribute("data-picture") for canvas in shown.all()] == pictures
            assert screen.page.get_by_label("Curtain edge").is_visible() == (mode == "c")
            assert screen.page.locator(".cp-note:visible").count() == 0
