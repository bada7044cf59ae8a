"""Somebody speaks while the bot does."""

from pathlib import Path
from typing import Final

import pytest
from playwright.sync_api import expect

from natter_bench.words import word_error_rate
from natter_testing.browser import microphone_file, open_tab
from natter_testing.browser.wire import heard, label, segments, user_text

pytestmark = pytest.mark.timeout(200)

QUESTION: Final = "Please tell me a long story about a dog and a cat who live near the sea."
INTERRUPTION: Final = "Stop, wait a moment please, I have another question."
PAUSE_S: Final = 5.0
"""From the question to the interruption: the answer begins a second after the question, and lasts for half a minute."""
MOST_WRONG_OF_CALLER: Final = 0.15


def test_speaking_into_the_answer_ends_it(page_url: str, tmp_path: Path) -> None:
    microphone = microphone_file(tmp_path / "interruption.wav", 3.0, QUESTION, PAUSE_S, INTERRUPTION)
    with open_tab(tmp_path, microphone) as tab:
        page = tab.page
        page.goto(page_url)
        page.get_by_test_id("bot-select").select_option("talker")
        page.get_by_test_id("connect").click()
        asked = tab.wait_for_end("microphone")
        answer = tab.wait_for("bot-started-speaking", after_ms=asked.from_ms)
        interruption = tab.wait_for_end("microphone", after_ms=asked.to_ms or 0)
        # The next answer: its text is on the page when it is heard.
        next_answer = tab.wait_for("bot-started-speaking", after_ms=interruption.from_ms)
        shown = page.get_by_test_id("message")
        expect(shown).to_have_count(4)
        settled, ahead = (
            "".join(shown.nth(1).locator(f"[data-kind={kind}]").all_inner_texts()) for kind in ("settled", "ahead")
        )
        roles = [item.get_attribute("data-role") for item in shown.all()]
        tab.screenshot("interrupted")
        messages, voice = tab.messages(), tab.sounds("voice")

    events = [each for each in messages if answer.at_ms < each.at_ms < next_answer.at_ms]
    labels = [label(each) for each in events]
    order = ("user-started-speaking", "bot-interrupted", "bot-stopped-speaking", "user-stopped-speaking")
    places = [labels.index(each) for each in order]
    assert places == sorted(places), labels

    # Nothing more of the old answer: neither words nor sound.
    stopped, next_turn = labels.index("bot-stopped-speaking"), labels.index("user-llm-text")
    assert not [each for each in labels[stopped + 1 : next_turn] if each.startswith("bot-")]
    assert interruption.to_ms is not None
    spoken = [each for each in voice if each.from_ms < interruption.from_ms]
    assert spoken, "the bot was not heard before"
    assert spoken[-1].to_ms is not None
    assert spoken[-1].to_ms < interruption.to_ms, "the bot spoke on"

    # The page keeps what was heard apart from what never was.
    assert roles == ["user", "bot", "user", "bot"]
    old = [each for each in messages if each.at_ms < events[stopped].at_ms]
    assert settled.split() == " ".join(heard(old).values()).split()
    assert (settled + ahead).split() == " ".join(segments(old).values()).split()
    assert word_error_rate(INTERRUPTION, user_text(events)) <= MOST_WRONG_OF_CALLER, user_text(events)
