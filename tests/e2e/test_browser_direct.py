"""Somebody else's page: the official client as it comes, another origin, no /start."""

from pathlib import Path
from typing import Final

import pytest

from natter_bench.words import word_error_rate
from natter_testing.browser import microphone_file, open_tab
from natter_testing.browser.wire import check_order, check_progress, segments, spoken_turn, user_text
from natter_testing.hearing import misheard

pytestmark = pytest.mark.timeout(200)

QUESTION: Final = "What should I do on a rainy day?"
MOST_WRONG_OF_CALLER: Final = 0.15
MOST_WRONG_OF_BOT: Final = 0.15


def test_a_conversation_straight_through_the_offer(page_url: str, direct_page_url: str, tmp_path: Path) -> None:
    gateway = page_url.partition("/?")[0]
    microphone = microphone_file(tmp_path / "question.wav", 3.0, QUESTION)
    with open_tab(tmp_path, microphone) as tab:
        page = tab.page
        page.goto(f"{direct_page_url}/?gateway={gateway}&bot=brief")
        page.click("#connect")
        page.wait_for_function("() => direct.ready || direct.error")
        assert page.evaluate("direct.error") == ""
        answer = tab.wait_for("bot-started-speaking", within_s=30)
        tab.wait_for("bot-stopped-speaking", after_ms=answer.at_ms, within_s=40)
        tab.wait_for_quiet()
        messages, voice, events = tab.messages(), tab.bot_audio(), page.evaluate("direct.events")
        page.click("#disconnect")
        page.wait_for_function("() => direct.events.includes('disconnected')")

    assert not [each for each in tab.addresses if each.endswith("/start")]
    assert not tab.problems
    check_order(spoken_turn(messages))
    check_progress(messages)
    assert [each for each in events if each.endswith("edSpeaking")] == [
        *("userStartedSpeaking", "userStoppedSpeaking"),
        *("botStartedSpeaking", "botStoppedSpeaking"),
    ]
    assert word_error_rate(QUESTION, user_text(messages)) <= MOST_WRONG_OF_CALLER, user_text(messages)
    said = " ".join(segments(messages).values())
    wrong, understood = misheard(said, voice)
    assert wrong <= MOST_WRONG_OF_BOT, f"{said!r} was heard as {understood!r}"
