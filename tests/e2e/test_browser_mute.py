"""Muting in the page, with a microphone that goes on hearing."""

from pathlib import Path
from typing import Final

import pytest
from playwright.sync_api import expect

from natter_bench.words import word_error_rate
from natter_testing.browser import microphone_file, open_tab
from natter_testing.browser.wire import user_text

pytestmark = pytest.mark.timeout(200)

UNHEARD: Final = "How many days are there in a week?"
QUESTION: Final = "What is the capital of France?"
MOST_WRONG_OF_CALLER: Final = 0.15


def test_what_is_said_while_muted_is_not_heard(page_url: str, tmp_path: Path) -> None:
    microphone = microphone_file(tmp_path / "questions.wav", 3.0, UNHEARD, 2.0, QUESTION)
    with open_tab(tmp_path, microphone) as tab:
        page = tab.page
        page.goto(page_url)
        page.get_by_test_id("bot-select").select_option("brief")
        page.get_by_test_id("connect").click()
        tab.wait_for("bot-ready")
        mute = page.get_by_test_id("mute")
        mute.click()
        expect(mute).to_have_attribute("aria-pressed", "true")
        tab.screenshot("muted")

        unheard = tab.wait_for_end("microphone")
        mute.click()
        expect(mute).to_have_attribute("aria-pressed", "false")
        asked = tab.wait_for_end("microphone", after_ms=unheard.to_ms or 0)
        tab.wait_for("bot-stopped-speaking", after_ms=asked.from_ms, within_s=40)
        messages = tab.messages()

    caller = [each for each in messages if each.type.startswith("user-")]
    assert word_error_rate(QUESTION, user_text(caller)) <= MOST_WRONG_OF_CALLER, user_text(caller)
    assert caller[0].at_ms > asked.from_ms, "something was heard while muted"
    assert [each.type for each in caller].count("user-llm-text") == 1
