"""The pages in a real browser: what a person sees, may press and is kept from; and that all may use them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from casgan_dicom.node.web.assets import PAGES
from tests.node.looking import ACT, LOOK, Filled, Looking, fill, fill_with_cine, looking, page_settings
from tests.support.factories import moving_frames, write_xa
from tests.support.waiting import wait_for
from tests.viewer.browser import chromium

pytestmark = pytest.mark.e2e

BANNER = "AI SYNTHETIC - NOT FOR DIAGNOSIS"
DESK, TABLET = (1280, 800), (820, 1180)
_DROPPED = """bytes => {
  const all = new DataTransfer();
  all.items.add(new File([new Uint8Array(bytes)], "x"));
  return all;
}"""
_HIDDEN = "globalThis.isHidden = {}; document.dispatchEvent(new Event('visibilitychange'))"
SECONDS = 30_000
"""Milliseconds, in truth: how long the browser may take; generous, for a busy machine."""


@dataclass(frozen=True)
class Screen:
    """A browser that has logged in."""

    page: Page
    site: Looking
    requests: list[str]
    """Everything that was asked for."""
    faults: list[str] = field(default_factory=list)
    """What the browser complained of."""

    def open(self, path: str) -> None:
        """Go to a page, and wait until it is drawn."""
        self.page.goto(self.site.url + path)
        expect(self.page.get_by_text("Loading", exact=True)).to_have_count(0, timeout=SECONDS)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Looking]:
    with looking(page_settings(tmp_path / "node")) as running:
        yield running


@pytest.fixture
def filled(site: Looking) -> Filled:
    return fill(site.layout, site.ledger)


@contextmanager
def screen(
    browser: Browser, site: Looking, size: tuple[int, int] = DESK, token: str = ACT
) -> Iterator[Screen]:
    """A fresh browser in front of the page; it may ask nobody else, and complain of nothing."""
    with browser.new_context(viewport={"width": size[0], "height": size[1]}) as context:
        page = context.new_page()
        found = Screen(page, site, [])
        context.on("request", lambda request: found.requests.append(request.url))
        page.on("pageerror", lambda error: found.faults.append(str(error)))
        page.on("console", lambda said: found.faults.append(said.text) if said.type == "error" else None)
        if token:
            page.goto(f"{site.url}/login")
            page.get_by_label("Token").fill(token)
            page.keyboard.press("Enter")
            page.wait_for_url(f"{site.url}/", timeout=SECONDS)
        yield found
        assert {urlsplit(url).netloc for url in found.requests} == {f"127.0.0.1:{site.port}"}
        assert found.faults == []


def paths(filled: Filled) -> list[str]:
    """Every page, with two jobs where it is about one."""
    jobs = (filled.converting, filled.dead)
    found = dict.fromkeys(page.path.format(job=job) for page in PAGES for job in jobs)
    return ["/login", *found]


@pytest.mark.parametrize("size", [DESK, TABLET], ids=["desk", "tablet"])
@pytest.mark.parametrize("token", [ACT, LOOK], ids=["act", "look"])
def test_every_page_can_be_used_by_everybody(
    browser: Browser, site: Looking, filled: Filled, size: tuple[int, int], token: str
) -> None:
    """By the rules of axe-core, which look at what is drawn: contrast, names, landmarks, order, focus."""
    with screen(browser, site, size, token) as shown:
        for path in paths(filled):
            shown.open(path)
            found = Axe().run(shown.page)
            assert found.response["violations"] == [], path
            assert len(found.response["passes"]) > 10  # it did look
            expect(shown.page.get_by_text(BANNER, exact=True)).to_be_in_viewport()
            wide = shown.page.evaluate("document.documentElement.scrollWidth - innerWidth")
            assert wide <= 0, path


def test_empty_pages_can_be_used_too(browser: Browser, site: Looking) -> None:
    with screen(browser, site) as shown:
        for page in PAGES:
            if page.menu:
                shown.open(page.path)
                assert Axe().run(shown.page).response["violations"] == [], page.path


def test_the_banner_stays_however_far_one_scrolls(browser: Browser, site: Looking, filled: Filled) -> None:
    with screen(browser, site, (820, 400)) as shown:
        shown.open("/")
        shown.page.keyboard.press("End")
        # Not `wait_for_function`: what that leaves in the page is forbidden by its policy.
        wait_for(lambda: shown.page.evaluate("scrollY > 100"), "the page to scroll", 60)
        expect(shown.page.get_by_text(BANNER, exact=True)).to_be_in_viewport()


def test_a_wrong_token_is_told_and_a_right_one_lets_in(browser: Browser, site: Looking) -> None:
    with screen(browser, site, token="") as shown:
        shown.page.goto(f"{site.url}/jobs")
        assert urlsplit(shown.page.url).path == "/login"
        shown.page.keyboard.type("a wrong token")  # the field has the focus
        shown.page.keyboard.press("Enter")
        expect(shown.page.get_by_role("alert")).to_contain_text("not known", timeout=SECONDS)
        shown.page.get_by_label("Token").fill(LOOK)
        shown.page.get_by_role("button", name="Log in").click()
        shown.page.wait_for_url(f"{site.url}/", timeout=SECONDS)
        expect(shown.page.get_by_text("wallboard (look)")).to_be_visible(timeout=SECONDS)
        shown.page.get_by_role("button", name="Log out").click()
        expect(shown.page).to_have_url(f"{site.url}/login", timeout=SECONDS)
        shown.faults.clear()  # the browser tells the 401 that was wanted


def test_progress_is_followed_without_a_touch(browser: Browser, site: Looking, filled: Filled) -> None:
    note = site.layout.work / "cpu" / filled.converting
    with screen(browser, site) as shown:
        for path in ("/jobs", f"/jobs/{filled.converting}"):
            note.write_text("generate 12/96 of 1 runs", encoding="ascii")
            shown.open(path)
            expect(shown.page.get_by_role("progressbar", name="generate, frame 12 of 96")).to_be_visible()
            note.write_text("generate 48/96 of 1 runs", encoding="ascii")
            expect(shown.page.get_by_role("progressbar", name="generate, frame 48 of 96")).to_be_visible(
                timeout=SECONDS
            )


def test_nothing_is_asked_while_nobody_sees_it(browser: Browser, site: Looking, filled: Filled) -> None:
    with screen(browser, site) as shown:
        shown.page.clock.install()
        shown.page.add_init_script(
            "Object.defineProperty(document, 'hidden', { get: () => globalThis.isHidden ?? false })"
        )
        shown.open("/jobs")

        def is_asked(times: int) -> bool:
            """Let a second go by on the clock of the page; whether it has asked so often since the last."""
            shown.page.clock.run_for(1000)
            return len(shown.requests) - before >= times

        before = len(shown.requests)
        wait_for(lambda: is_asked(3), "a page that asks again and again", SECONDS / 1000)
        shown.page.evaluate(_HIDDEN.format("true"))
        is_asked(0)
        before = len(shown.requests)
        assert not any(is_asked(1) for _ in range(30))
        shown.page.evaluate(_HIDDEN.format("false"))
        wait_for(lambda: is_asked(3), "a page that asks again and again", SECONDS / 1000)


def test_the_keyboard_keeps_its_place_when_a_page_updates_itself(
    browser: Browser, site: Looking, filled: Filled
) -> None:
    with screen(browser, site) as shown:
        shown.open("/jobs")
        shown.page.get_by_role("link", name=filled.queued).focus()
        site.post(f"/jobs/{filled.failed}/retry")
        expect(shown.page.get_by_role("row", name=filled.failed)).to_contain_text("queued", timeout=SECONDS)
        assert shown.page.evaluate("document.activeElement.textContent") == filled.queued


def test_a_dead_letter_is_sent_again_by_its_button(browser: Browser, site: Looking, filled: Filled) -> None:
    with screen(browser, site) as shown:
        shown.open("/troubles")
        expect(shown.page.get_by_text("refused: 0xA900")).to_be_visible()
        shown.page.get_by_role("button", name=f"Try job {filled.dead} again").press("Enter")
        expect(shown.page.get_by_role("status")).to_contain_text("tried again", timeout=SECONDS)
        expect(shown.page.get_by_text("There is no dead letter.")).to_be_visible(timeout=SECONDS)
    assert site.get(f"/jobs/{filled.dead}")["job"]["state"] == "delivering"


@pytest.mark.parametrize("size", [DESK, TABLET], ids=["desk", "tablet"])
def test_the_cines_of_a_job_are_played_on_its_page(
    browser: Browser, site: Looking, tmp_path: Path, size: tuple[int, int]
) -> None:
    job = fill_with_cine(tmp_path / "made", site)
    with screen(browser, site, size) as shown:
        shown.open(f"/jobs/{job}")
        expect(shown.page.locator("[data-player] canvas").first).to_be_visible(timeout=SECONDS)
        expect(shown.page.locator("[data-synthetic-bar]")).to_have_count(1)
        assert Axe().run(shown.page).response["violations"] == []
        assert shown.page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0


def test_a_job_is_ended_only_if_it_is_meant(browser: Browser, site: Looking, filled: Filled) -> None:
    with screen(browser, site) as shown:
        shown.open(f"/jobs/{filled.queued}")
        button = shown.page.get_by_role("button", name="End this job")
        shown.page.once("dialog", lambda dialog: dialog.dismiss())
        button.click()
        assert site.get(f"/jobs/{filled.queued}")["job"]["state"] == "queued"
        shown.page.once("dialog", lambda dialog: dialog.accept())
        button.click()
        expect(shown.page.get_by_text("cancelled", exact=True)).to_be_visible(timeout=SECONDS)
    assert site.get(f"/jobs/{filled.queued}")["job"]["state"] == "cancelled"


def test_a_result_is_rejected_with_a_reason(browser: Browser, site: Looking, filled: Filled) -> None:
    with screen(browser, site) as shown:
        shown.open(f"/jobs/{filled.done}")
        shown.page.get_by_label("Reason to reject").select_option("missing-vessels")
        shown.page.get_by_label("More, without patient data").fill("left side")
        shown.page.get_by_role("button", name="Reject the result").click()
        verdict = shown.page.get_by_role("row", name="rejected missing-vessels left side anna")
        expect(verdict).to_be_visible(timeout=SECONDS)
        shown.page.get_by_role("button", name="Accept the result").click()
        expect(shown.page.get_by_role("row", name="accepted")).to_be_visible(timeout=SECONDS)
        assert Axe().run(shown.page).response["violations"] == []
    assert [each["outcome"] for each in site.get(f"/jobs/{filled.done}")["reviews"]] == [
        "rejected",
        "accepted",
    ]


def test_a_priority_is_chosen(browser: Browser, site: Looking, filled: Filled) -> None:
    with screen(browser, site) as shown:
        shown.open(f"/jobs/{filled.queued}")
        shown.page.get_by_label("Priority", exact=True).select_option("urgent")
        shown.page.get_by_role("button", name="Set the priority").click()
        expect(shown.page.get_by_role("definition").filter(has_text="urgent")).to_be_visible(timeout=SECONDS)
    assert site.get(f"/jobs/{filled.queued}")["job"]["priority"] == "urgent"


def test_a_destination_is_paused_and_resumed(browser: Browser, site: Looking, filled: Filled) -> None:
    with screen(browser, site) as shown:
        shown.open("/peers")
        shown.page.get_by_role("button", name="Pause pacs").click()
        shown.page.get_by_role("button", name="Resume pacs").wait_for(timeout=SECONDS)
        assert site.get("/destinations")["destinations"][0]["paused"]
        shown.page.get_by_role("button", name="Resume pacs").click()
        shown.page.get_by_role("button", name="Pause pacs").wait_for(timeout=SECONDS)


def test_who_may_only_look_is_offered_nothing_else(browser: Browser, site: Looking, filled: Filled) -> None:
    with screen(browser, site, token=LOOK) as shown:
        for path in paths(filled):
            shown.open(path)
            if path != "/login":
                names = [each.text_content() for each in shown.page.get_by_role("button").all()]
                assert set(names) - {""} <= {"Log out", "Newer", "Older"}, path  # one chooses a file


def test_a_file_is_dropped_and_its_rule_is_shown(browser: Browser, site: Looking, tmp_path: Path) -> None:
    file = write_xa(tmp_path / "made" / "a", moving_frames(3))
    with screen(browser, site) as shown:
        shown.open("/rules")
        shown.page.get_by_label("Calling AE title").fill("CT1")
        shown.page.get_by_label("Drop a DICOM file").set_input_files(file)
        expect(shown.page.locator("#results")).to_contain_text("kept, not converted", timeout=SECONDS)
        shown.page.get_by_label("Calling AE title").fill("CATHLAB")
        data = shown.page.evaluate_handle(
            _DROPPED,
            [*file.read_bytes()],
        )
        shown.page.dispatch_event(".drop", "drop", {"dataTransfer": data})
        expect(shown.page.locator("#results")).to_contain_text("outbox, pacs, archive", timeout=SECONDS)
        assert Axe().run(shown.page).response["violations"] == []


def test_text_of_a_sender_is_never_markup(browser: Browser, site: Looking, filled: Filled) -> None:
    with site.ledger.transaction() as db:
        db.execute("UPDATE jobs SET peer = '<b>bold</b>', rule = '\"><img src=x>'")
    with screen(browser, site) as shown:
        shown.open(f"/jobs/{filled.done}")
        expect(shown.page.get_by_text("<b>bold</b>")).to_be_visible()
        assert shown.page.locator("main img, main b").count() == 0


def test_a_node_that_does_not_answer_is_told_and_followed_again(browser: Browser, site: Looking) -> None:
    with screen(browser, site) as shown:
        shown.open("/")
        shown.page.route("**/api/**", lambda route: route.abort())
        expect(shown.page.get_by_role("alert")).to_contain_text("does not answer", timeout=SECONDS)
        shown.page.unroute("**/api/**")
        expect(shown.page.get_by_role("alert")).to_be_hidden(timeout=SECONDS)
        shown.faults.clear()  # the browser tells the requests that were stopped
