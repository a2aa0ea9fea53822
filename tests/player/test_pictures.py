"""What is on the canvases in each mode, pixel for pixel, beside what our own reading of the files shows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from playwright.sync_api import Browser
from pydicom import dcmread
from pydicom.uid import SegmentationStorage

from casgan_dicom.conversion.options import FrameChoice
from casgan_dicom.pixels.banner import banner_for
from casgan_dicom.player.shelf import Exhibit
from casgan_dicom.source.series import find_series
from casgan_dicom.source.shutters import shutter_mask
from tests.player.exhibits import DEADLINE_S, exhibit_in
from tests.player.screen import DESKTOP, TABLET, Pixels, Screen, Size, display_of, playing, wait_until
from tests.support.factories import moving_frames, write_xa
from tests.support.waiting import wait_for
from tests.viewer.browser import chromium

pytestmark = pytest.mark.e2e

SIZES = [pytest.param(DESKTOP, id="desktop"), pytest.param(TABLET, id="tablet")]
MIXED = ["b", "c", "d"]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium(webgl=False) as running:
        yield running


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Exhibit:
    """Twelve frames of 12 bits with a window of their own, and what was made of them, with maps."""
    return exhibit_in(
        tmp_path_factory.mktemp("run"),
        moving_frames(12, 96, 128, bits=12),
        {"maps": True, "seg": True, "sr": True},
        BitsStored=12,
        WindowCenter=1500,
        WindowWidth=1800,
    )


def objects(exhibit: Exhibit, what: str) -> Exhibit:
    """The exhibit with those derived cines alone whose derivation begins so."""
    headers = {path: dcmread(path, stop_before_pixels=True) for path in exhibit.derived}
    kept = [
        path
        for path, header in headers.items()
        if str(header.get("DerivationDescription")).startswith(what)
        and header.SOPClassUID != SegmentationStorage
    ]
    return Exhibit(exhibit.sources, tuple(kept))


@pytest.fixture(scope="module")
def frames(run: Exhibit) -> tuple[Pixels, Pixels]:
    """Grey values of source and derived cine."""
    pair = objects(run, "Synthetic angiogram")
    return display_of(pair, derived=False), display_of(pair, derived=True)


@pytest.mark.parametrize("size", SIZES)
def test_both_cines_show_the_same_frame_side_by_side(
    browser: Browser, run: Exhibit, frames: tuple[Pixels, Pixels], size: Size
) -> None:
    source, derived = frames
    with playing(browser, run, size) as screen:
        for k, keys in ((0, []), (3, ["ArrowRight"] * 3), (11, ["End"]), (10, ["ArrowLeft"]), (0, ["Home"])):
            screen.press(*keys)
            screen.at(k)
            assert screen.both() == [k, k]
            np.testing.assert_array_equal(screen.grey("source"), source[k])
            np.testing.assert_array_equal(screen.grey("derived"), derived[k])
    assert not np.array_equal(source[3], derived[3])


def test_blink_shows_one_and_then_the_other(
    browser: Browser, run: Exhibit, frames: tuple[Pixels, Pixels]
) -> None:
    source, derived = frames
    with playing(browser, run) as screen:
        screen.press("ArrowRight", "b")
        for _ in range(2):
            wait_until(screen, "mixed", source[1], "the source")
            wait_until(screen, "mixed", derived[1], "the derived cine")


def test_the_label_of_a_blinking_picture_is_that_of_what_it_shows(browser: Browser, run: Exhibit) -> None:
    with playing(browser, run, stopped=True) as screen:
        screen.press("b")
        seen = set()
        for _ in range(30):
            screen.page.clock.run_for(100)
            phase = screen.page.locator(".casgan-player").get_attribute("data-phase")
            labels = screen.page.locator(".cp-mixed .cp-label:visible").all_inner_texts()
            seen.add((phase, *(text for text in labels if text)))

    assert seen == {("source", "Source"), ("derived", "AI SYNTHETIC - NOT FOR DIAGNOSIS")}


def test_the_curtain_has_the_source_on_its_left(
    browser: Browser, run: Exhibit, frames: tuple[Pixels, Pixels]
) -> None:
    source, derived = frames
    with playing(browser, run) as screen:
        screen.press("ArrowRight", "c")
        for keys, edge in (([], 64), (["["] * 5, 32), (["]"] * 15, 128), (["["] * 20, 0)):
            screen.press(*keys)
            wanted = np.concatenate([source[1][:, :edge], derived[1][:, edge:]], axis=1)
            wait_until(screen, "mixed", wanted, f"the edge at {edge}")


def test_the_curtain_is_dragged(browser: Browser, run: Exhibit, frames: tuple[Pixels, Pixels]) -> None:
    source, derived = frames
    with playing(browser, run) as screen:
        screen.press("c")
        box = screen.page.locator('canvas[data-picture="mixed"]').bounding_box()
        assert box is not None
        middle = box["y"] + box["height"] / 2
        screen.page.mouse.move(box["x"] + box["width"] / 2, middle)
        screen.page.mouse.down()
        screen.page.mouse.move(box["x"] + box["width"] / 4, middle)
        screen.page.mouse.up()
        wanted = np.concatenate([source[0][:, :32], derived[0][:, 32:]], axis=1)
        wait_until(screen, "mixed", wanted, "the edge at a quarter")


def test_the_difference_is_grey_where_nothing_was_drawn(
    browser: Browser, run: Exhibit, frames: tuple[Pixels, Pixels]
) -> None:
    source, derived = frames
    wanted = np.clip(128 + derived[1].astype(int) - source[1], 0, 255).astype(np.uint8)
    with playing(browser, run) as screen:
        screen.press("ArrowRight", "d")
        wait_until(screen, "mixed", wanted, "the difference")
    assert 0.2 < (wanted == 128).mean() < 0.95
    assert wanted.min() < 100


def test_vessels_are_outlined_and_attention_is_tinted_outside_the_banner(
    browser: Browser, run: Exhibit, frames: tuple[Pixels, Pixels]
) -> None:
    derived = frames[1][2]
    maps = {
        name: display_of(objects(run, what), derived=True)[2]
        for name, what in (("attention", "Attention map"), ("vessels", "Vessel mask"))
    }
    banner = banner_for(96, 128).mask((96, 128))
    with playing(browser, run) as screen:
        screen.press("ArrowRight", "ArrowRight", "v")
        outlined = _changed(screen, derived)
        screen.press("v")
        wait_until(screen, "derived", derived, "the picture without outline")
        screen.press("a")
        tinted = _changed(screen, derived)
        screen.press("a")
        wait_until(screen, "derived", derived, "the picture without overlay")
        np.testing.assert_array_equal(screen.grey("source"), frames[0][2])

    vessel = (maps["vessels"] > 0) & ~banner
    inside = vessel.copy()
    inside[1:-1, 1:-1] &= vessel[:-2, 1:-1] & vessel[2:, 1:-1] & vessel[1:-1, :-2] & vessel[1:-1, 2:]
    np.testing.assert_array_equal(outlined, vessel & ~inside)
    drawn = (maps["attention"] > 0) & ~banner
    assert not (tinted & ~drawn).any()
    assert tinted[maps["attention"] * ~banner > 64].all()


def _changed(screen: Screen, grey: Pixels) -> npt.NDArray[np.bool_]:
    """Where the derived picture is coloured, once it is; the rest has to be as before."""

    def coloured() -> npt.NDArray[np.bool_]:
        colours = screen.colours("derived")[..., :3].astype(int)
        return np.asarray(np.ptp(colours, axis=-1) > 0)

    wait_for(lambda: coloured().any(), "an overlay", DEADLINE_S)
    seen = coloured()
    np.testing.assert_array_equal(screen.colours("derived")[..., 0][~seen], grey[~seen])
    return seen


HEADERS: list[dict[str, object]] = [
    {"PhotometricInterpretation": "MONOCHROME1"},
    {"PhotometricInterpretation": "MONOCHROME1", "BitsStored": 12, "WindowCenter": 900, "WindowWidth": 700},
    {"BitsStored": 12, "WindowCenter": 900, "WindowWidth": 700, "VOILUTFunction": "SIGMOID"},
    {"BitsStored": 12, "PixelIntensityRelationship": "LIN", "RescaleSlope": 2, "RescaleIntercept": -40},
    {"ShutterShape": "CIRCULAR", "CenterOfCircularShutter": [32, 40], "RadiusOfCircularShutter": 25},
]


@pytest.mark.parametrize("header", HEADERS, ids=str)
def test_a_source_alone_is_shown_as_its_header_says(
    tmp_path: Path, browser: Browser, header: dict[str, object]
) -> None:
    bits = header.get("BitsStored", 8)
    path = write_xa(tmp_path / "a", moving_frames(3, bits=12 if bits == 12 else 8), **header)
    exhibit = Exhibit((path,), ())
    (cine,) = find_series([path]).cines
    visible = shutter_mask(cine.header, cine.rows, cine.columns)

    with playing(browser, exhibit) as screen:
        screen.press("ArrowRight")
        screen.at(1)
        wanted = display_of(exhibit, derived=False)[1] * visible
        np.testing.assert_array_equal(screen.grey("source"), wanted)
        assert "no derived cine" in screen.status().lower()
        assert not screen.page.locator(".cp-derived").is_visible()
    assert wanted.std() > 5
    assert visible.all() == ("ShutterShape" not in header)


def test_a_derived_cine_alone_is_shown_and_its_source_is_missed(
    browser: Browser, run: Exhibit, frames: tuple[Pixels, Pixels]
) -> None:
    with playing(browser, Exhibit((), run.derived)) as screen:
        screen.press("ArrowRight")
        screen.at(1)
        np.testing.assert_array_equal(screen.grey("derived"), frames[1][1])
        assert "source is not among the files" in screen.status()
        screen.press("b")  # nothing to compare with
        assert screen.page.locator(".casgan-player").get_attribute("data-mode") == "side"


def test_a_frame_that_was_not_converted_stays_empty_and_says_so(tmp_path: Path, browser: Browser) -> None:
    form = {"frames": FrameChoice("3-6"), "single_frames": True}
    exhibit = exhibit_in(tmp_path, moving_frames(8), form)
    singles = sorted(exhibit.derived, key=lambda path: int(dcmread(path).InstanceNumber))
    derived = display_of(Exhibit((), tuple(singles)), derived=True)

    with playing(browser, exhibit) as screen:
        assert not screen.grey("derived").any()
        assert "not converted" in screen.page.locator(".cp-derived .cp-note").inner_text()
        for k in range(2, 6):
            screen.press(*["Home", *["ArrowRight"] * k])
            screen.at(k)
            np.testing.assert_array_equal(screen.grey("derived"), derived[k - 2])
        assert screen.page.locator(".cp-derived .cp-note").inner_text() == ""
        screen.press("End")
        screen.at(7)
        assert not screen.grey("derived").any()


def test_frames_of_a_pixel_shape_of_their_own_are_as_wide_as_they_are(
    tmp_path: Path, browser: Browser
) -> None:
    path = write_xa(tmp_path / "a", moving_frames(3), PixelAspectRatio=[1, 2])

    with playing(browser, Exhibit((path,), ())) as screen:
        box = screen.page.locator('canvas[data-picture="source"]').bounding_box()

    assert box is not None
    assert box["width"] / box["height"] == pytest.approx(2 * 80 / 64, rel=0.01)
