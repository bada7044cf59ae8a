"""Without a microphone, on a telephone's screen."""

from pathlib import Path
from typing import Final

import pytest
from playwright.sync_api import expect

from natter_testing.browser import Tab, open_tab
from natter_testing.browser.wire import segments

pytestmark = pytest.mark.timeout(200)

NARROW: Final = (360, 640)
QUESTION: Final = (
    "Which animal is the largest in the world, and where does it live when the water gets cold in the winter?"
)


def test_without_a_microphone_one_goes_on_by_typing(page_url: str, tmp_path: Path) -> None:
    with open_tab(tmp_path, None, size=NARROW) as tab:
        page = tab.page
        page.goto(page_url)
        expect(page.get_by_test_id("bot-select")).to_have_value("friend")
        assert_fits(tab, "before")

        page.get_by_test_id("connect").click()
        expect(page.get_by_test_id("error")).to_have_attribute("data-kind", "microphone")
        assert_fits(tab, "no-microphone")

        page.emulate_media(color_scheme="dark")
        page.get_by_test_id("bot-select").select_option("brief")
        page.get_by_test_id("connect-typing").click()
        expect(page.get_by_test_id("status")).to_have_text("listening")
        page.get_by_test_id("text-input").fill(QUESTION)
        page.get_by_test_id("text-input").press("Enter")
        tab.wait_for("bot-stopped-speaking", within_s=40)
        shown = page.get_by_test_id("message")
        expect(shown).to_have_text([QUESTION, " ".join(segments(tab.messages()).values())])
        assert_fits(tab, "answered")
        assert tab.sounds("voice"), "the answer was not heard"


def assert_fits(tab: Tab, name: str) -> None:
    """Nothing has to be scrolled to the side for."""
    picture = tab.screenshot(name)
    assert tab.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), picture
