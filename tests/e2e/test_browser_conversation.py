"""Somebody opens the page in Chromium, asks aloud, types, leaves, and begins again. All on the built-in models."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pytest
from playwright.sync_api import expect

from natter_bench.words import word_error_rate
from natter_testing.browser import Message, Tab, microphone_file, open_tab
from natter_testing.browser.wire import check_order, check_progress, segments, spoken_turn, user_text
from natter_testing.hearing import misheard

# One fixture holds both conversations; on a busy machine it takes its time.
pytestmark = pytest.mark.timeout(300)

QUESTION: Final = "What should I do on a rainy day?"
TYPED: Final = "Do you like tea?"
GREETING: Final = "Hi, I'm Robin. It's good to hear you. What's on your mind today?"
BEFORE_QUESTION_S: Final = 7.5
"""Leaves room for the greeting, which takes 4 s."""
MOST_WRONG_OF_CALLER: Final = 0.15
MOST_WRONG_OF_BOT: Final = 0.15
_WATCH_STATUS: Final = """() => {
    const status = document.querySelector('[data-testid=status]');
    window.statuses = [status.textContent];
    const note = () => window.statuses.push(status.textContent);
    new MutationObserver(note).observe(status, { characterData: true, childList: true, subtree: true });
}"""


@dataclass(frozen=True)
class Talk:
    """One conversation as the browser had it."""

    messages: Sequence[Message]
    shown: Sequence[tuple[str, str]]
    """Role and text of each message on the page."""
    statuses: Sequence[str]
    """The words that the page's status went through."""
    bot_audio: np.ndarray[Any, np.dtype[np.int16]]


@dataclass(frozen=True)
class Visit:
    """Two conversations in one page."""

    first: Talk
    second: Talk
    client_events: Sequence[dict[str, Any]]
    sent: Sequence[Message]
    problems: Sequence[str]
    addresses: Sequence[str]

    @property
    def talks(self) -> Sequence[Talk]:
        return self.first, self.second


@pytest.fixture(scope="module")
def visit(page_url: str, tmp_path_factory: pytest.TempPathFactory) -> Visit:
    folder = tmp_path_factory.mktemp("conversation")
    microphone = microphone_file(folder / "question.wav", BEFORE_QUESTION_S, QUESTION)
    with open_tab(folder, microphone) as tab:
        tab.page.goto(page_url)
        first, second = first_talk(tab), second_talk(tab)
        events = tab.page.evaluate("window.natter.events")
        return Visit(first, second, events, tab.sent(), tab.problems, tab.addresses)


def first_talk(tab: Tab) -> Talk:
    """With the default bot: its greeting, a spoken question, a typed one."""
    page = tab.page
    expect(page.get_by_test_id("bot-select")).to_have_value("friend")
    page.evaluate(_WATCH_STATUS)
    page.get_by_test_id("connect").click()
    tab.wait_for("bot-started-speaking")

    asked = tab.wait_for_end("microphone")
    answer = tab.wait_for("bot-started-speaking", after_ms=asked.from_ms)
    # While it speaks, what is still to come looks different from what was heard.
    expect(page.locator("[data-testid=message] [data-kind=ahead]")).to_be_visible()
    tab.screenshot("answering")
    spoken = tab.wait_for("bot-stopped-speaking", after_ms=answer.at_ms, within_s=40)

    expect(page.get_by_test_id("latency")).to_have_text(re.compile(r"\d+ ms"))
    page.get_by_test_id("text-input").fill(TYPED)
    page.get_by_test_id("text-send").click()
    expect(page.get_by_test_id("latency")).to_be_hidden()
    answer = tab.wait_for("bot-started-speaking", after_ms=spoken.at_ms)
    tab.wait_for("bot-stopped-speaking", after_ms=answer.at_ms, within_s=40)
    return talk_of(tab, after_ms=0)


def second_talk(tab: Tab) -> Talk:
    """After leaving, in the same page, with another bot. The microphone plays its file from the start again."""
    page = tab.page
    page.get_by_test_id("leave").click()
    expect(page.get_by_test_id("status")).to_have_text("idle")
    began_ms = tab.now_ms()
    page.get_by_test_id("bot-select").select_option("brief")
    page.evaluate("window.statuses = []")
    page.get_by_test_id("connect").click()
    answer = tab.wait_for("bot-started-speaking", after_ms=began_ms, within_s=30)
    tab.wait_for("bot-stopped-speaking", after_ms=answer.at_ms, within_s=40)
    talk = talk_of(tab, after_ms=began_ms)
    page.get_by_test_id("leave").click()
    expect(page.get_by_test_id("connect")).to_be_enabled()
    return talk


def talk_of(tab: Tab, *, after_ms: float) -> Talk:
    expect(tab.page.get_by_test_id("status")).to_have_text("listening")
    tab.wait_for_quiet()
    items = tab.page.get_by_test_id("message").all()
    return Talk(
        messages=tab.messages(after_ms=after_ms),
        shown=[(item.get_attribute("data-role") or "", item.inner_text()) for item in items],
        statuses=tab.page.evaluate("window.statuses"),
        bot_audio=tab.bot_audio(),
    )


def test_the_question_is_understood(visit: Visit) -> None:
    for talk in visit.talks:
        assert word_error_rate(QUESTION, user_text(talk.messages)) <= MOST_WRONG_OF_CALLER, user_text(talk.messages)


def test_what_the_bot_says_is_intelligible(visit: Visit) -> None:
    for talk in visit.talks:
        said = " ".join(segments(talk.messages).values())
        wrong, understood = misheard(said, talk.bot_audio)
        assert wrong <= MOST_WRONG_OF_BOT, f"{said!r} was heard as {understood!r}"


def test_the_events_of_a_turn_come_in_order(visit: Visit) -> None:
    for talk in visit.talks:
        check_order(spoken_turn(talk.messages))


def test_bot_output_follows_what_is_heard(visit: Visit) -> None:
    for talk in visit.talks:
        check_progress(talk.messages)


def test_the_clients_events_are_those_of_the_wire(visit: Visit) -> None:
    """The official client passes on every message of these types, and none of a conversation that is over."""
    client_names = {
        "bot-ready": "botReady",
        "user-started-speaking": "userStartedSpeaking",
        "user-stopped-speaking": "userStoppedSpeaking",
        "user-transcription": "userTranscript",
        "bot-started-speaking": "botStartedSpeaking",
        "bot-stopped-speaking": "botStoppedSpeaking",
        "bot-output": "botOutput",
        "metrics": "metrics",
    }
    wire = Counter(each.type for talk in visit.talks for each in talk.messages)
    client = Counter(each["type"] for each in visit.client_events)
    assert {name: client[name] for name in client_names.values()} == {
        name: wire[kind] for kind, name in client_names.items()
    }


def test_the_page_shows_both_sides(visit: Visit) -> None:
    understood, typed = answers(visit.first.messages)
    assert list(visit.first.shown) == [
        ("bot", GREETING),
        ("user", user_text(visit.first.messages)),
        ("bot", understood),
        ("user", TYPED),
        ("bot", typed),
    ]
    statuses = visit.first.statuses
    assert statuses[:5] == ["idle", "connecting", "listening", "speaking", "listening"]
    assert _without_thinking(statuses[5:-3]) == ["speaking", "listening"]
    assert statuses[-3:] == ["thinking", "speaking", "listening"]


def test_the_second_conversation_starts_afresh(visit: Visit) -> None:
    (answer,) = answers(visit.second.messages)
    assert list(visit.second.shown) == [("user", user_text(visit.second.messages)), ("bot", answer)]
    assert _without_thinking(visit.second.statuses) == ["connecting", "listening", "speaking", "listening"]


def test_a_typed_message_is_a_turn_at_once(visit: Visit) -> None:
    (sent,) = (each for each in visit.sent if each.type == "send-text")
    assert sent.data["content"] == TYPED
    after = [each for each in visit.first.messages if each.at_ms > sent.at_ms]
    assert after[0].type == "user-llm-text"
    assert after[0].data["text"] == TYPED
    assert not {"user-started-speaking", "user-transcription"} & {each.type for each in after}


def test_the_page_has_nothing_to_complain_about(visit: Visit, page_url: str) -> None:
    assert list(visit.problems) == []
    origin = page_url.partition("/?")[0]
    elsewhere = {each for each in visit.addresses if not each.startswith((origin, "data:", "blob:"))}
    assert not elsewhere, "the page loads from third parties"


def _without_thinking(statuses: Sequence[str]) -> list[str]:
    """A reply that was prepared while the caller spoke may sound before the page has shown that it thinks."""
    return [status for status in statuses if status != "thinking"]


def answers(messages: Sequence[Message]) -> Sequence[str]:
    """What the bot said to each of the user's messages."""
    starts = [index for index, each in enumerate(messages) if each.type == "user-llm-text"]
    ends = [*starts[1:], len(messages)]
    return [" ".join(segments(messages[start:end]).values()) for start, end in zip(starts, ends, strict=True)]
