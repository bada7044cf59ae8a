"""Our page comes back to its conversation: loaded again, closed by the server, asked to move."""

import asyncio
import re
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import httpx
import pytest
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from playwright.sync_api import expect

from natter_bench.words import word_error_rate
from natter_testing.browser import Tab, microphone_file, open_tab
from natter_testing.browser.wire import segments, user_text

pytestmark = pytest.mark.timeout(200)

TYPED: Final = "Do you like tea?"
TYPED_LATER: Final = "And coffee?"
QUESTION: Final = "What should I do on a rainy day?"
LONGEST_HOLE_MS: Final = 500
AFTER_RETURN_S: Final = 6.0
MOST_WRONG_OF_CALLER: Final = 0.15
WATCH_SEARCH: Final = """() => {
    window.searches = [];
    const note = () => window.searches.push(document.querySelector('[data-testid=search]')?.textContent ?? '');
    new MutationObserver(note).observe(document.body, { childList: true, characterData: true, subtree: true });
}"""


def begin(tab: Tab, page_url: str, *, bot: str) -> None:
    page = tab.page
    page.goto(page_url)
    page.get_by_test_id("bot-select").select_option(bot)
    page.get_by_test_id("connect").click()
    expect(page.get_by_test_id("status")).to_have_text(re.compile("listening|speaking"), timeout=30_000)


def type_in(tab: Tab, text: str) -> None:
    tab.page.get_by_test_id("text-input").fill(text)
    tab.page.get_by_test_id("text-input").press("Enter")


def type_and_hear(tab: Tab, text: str) -> str:
    """Returns the whole answer."""
    before_ms = tab.now_ms()
    type_in(tab, text)
    answer = tab.wait_for("bot-started-speaking", after_ms=before_ms, within_s=30)
    over = tab.wait_for("bot-stopped-speaking", after_ms=answer.at_ms, within_s=40)
    return " ".join(segments(tab.messages(after_ms=before_ms, before_ms=over.at_ms)).values())


def shown(tab: Tab) -> Sequence[tuple[str, str]]:
    items = tab.page.get_by_test_id("message").all()
    return [(item.get_attribute("data-role") or "", item.inner_text()) for item in items]


def is_live_again(tab: Tab, within_s: float) -> None:
    expect(tab.page.get_by_test_id("status")).to_have_text(
        re.compile("^(listening|thinking|speaking)$"), timeout=within_s * 1_000
    )


def sessions(tab: Tab) -> set[str]:
    """Ids in the addresses of all offers."""
    return {found[1] for each in tab.addresses if (found := re.search(r"/sessions/([^/]+)/api/offer$", each))}


def take_line_over(url: str, session_id: str) -> None:
    """Connect to the session in the browser's place: the gateway closes the browser's connection without a goodbye."""

    async def connect() -> None:
        peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        try:
            peer.addTransceiver("audio", direction="sendrecv")
            opened = asyncio.Event()
            peer.createDataChannel("chat", ordered=True).on("open", opened.set)
            await peer.setLocalDescription(await peer.createOffer())
            body = {"sdp": peer.localDescription.sdp, "type": "offer", "pc_id": None, "restart_pc": False}
            async with httpx.AsyncClient(base_url=url, trust_env=False) as http:
                answer = (await http.post(f"/sessions/{session_id}/api/offer", json=body)).json()
            await peer.setRemoteDescription(RTCSessionDescription(answer["sdp"], "answer"))
            async with asyncio.timeout(10):
                await opened.wait()
        finally:
            await peer.close()

    # Playwright has an event loop in this thread.
    thread = threading.Thread(target=lambda: asyncio.run(connect()), name="take-line-over")
    thread.start()
    thread.join()


def test_a_page_that_is_loaded_again_goes_on(page_url: str, tmp_path: Path) -> None:
    microphone = microphone_file(tmp_path / "question.wav", AFTER_RETURN_S, QUESTION)
    with open_tab(tmp_path, microphone) as tab:
        page = tab.page
        begin(tab, page_url, bot="friend")
        tab.wait_for("bot-stopped-speaking", within_s=20)
        # The file plays from its start whenever the microphone is opened: nothing is heard of it before the reload.
        page.get_by_test_id("mute").click()
        type_and_hear(tab, TYPED)
        is_live_again(tab, 5)
        before = shown(tab)
        assert [role for role, _ in before][-2:] == ["user", "bot"]
        page.reload()
        is_live_again(tab, 10)
        expect(page.get_by_test_id("bot-select")).to_have_count(0)
        expect(page.get_by_test_id("message")).to_have_text([text for _, text in before])
        expect(page.get_by_test_id("mute")).to_have_attribute("aria-pressed", "true")
        assert not segments(tab.messages()), "greeted again"
        page.get_by_test_id("mute").click()

        answer = tab.wait_for("bot-started-speaking", within_s=40)
        tab.wait_for("bot-stopped-speaking", after_ms=answer.at_ms, within_s=40)
        is_live_again(tab, 5)
        messages = tab.messages()
        assert word_error_rate(QUESTION, user_text(messages)) <= MOST_WRONG_OF_CALLER, user_text(messages)
        spoken = [("user", user_text(messages)), ("bot", " ".join(segments(messages).values()))]
        assert shown(tab) == [*before, *spoken]
        assert len(sessions(tab)) == 1
        assert tab.problems == []


def test_a_connection_that_the_server_closed_is_made_anew(page_url: str, tmp_path: Path) -> None:
    microphone = microphone_file(tmp_path / "silence.wav", 1.0)
    with open_tab(tmp_path, microphone) as tab:
        begin(tab, page_url, bot="talker")
        began_ms = tab.now_ms()
        type_in(tab, TYPED)
        tab.wait_for("bot-started-speaking", after_ms=began_ms, within_s=30)
        tab.wait_for("bot-tts-text", after_ms=began_ms, within_s=10)
        (session_id,) = sessions(tab)
        closed_ms = tab.now_ms()
        tab.page.evaluate(WATCH_SEARCH)
        take_line_over(page_url.partition("/?")[0], session_id)
        ready = tab.wait_for("bot-ready", after_ms=closed_ms, within_s=15)
        is_live_again(tab, 10)
        expect(tab.page.get_by_test_id("search")).to_have_count(0)
        # It may be back before anybody could look.
        assert any("The connection was lost." in each for each in tab.page.evaluate("window.searches"))
        over = tab.wait_for("bot-stopped-speaking", after_ms=ready.at_ms, within_s=60)
        reply = " ".join(segments(tab.messages(after_ms=ready.at_ms, before_ms=over.at_ms)).values())
        expect(tab.page.get_by_test_id("message").last).to_have_text(reply)
        assert [text for role, text in shown(tab) if role == "user"] == [TYPED]

        later = type_and_hear(tab, TYPED_LATER)
        is_live_again(tab, 5)
        assert shown(tab)[-4:] == [("user", TYPED), ("bot", reply), ("user", TYPED_LATER), ("bot", later)]
        assert sessions(tab) == {session_id}
        assert len([each for each in tab.addresses if each.endswith("/start")]) == 1


def test_a_connection_that_the_server_wants_replaced_plays_on_meanwhile(page_url: str, tmp_path: Path) -> None:
    microphone = microphone_file(tmp_path / "silence.wav", 1.0)
    with open_tab(tmp_path, microphone) as tab:
        begin(tab, page_url, bot="talker")
        began_ms = tab.now_ms()
        type_in(tab, TYPED)
        tab.wait_for("bot-started-speaking", after_ms=began_ms, within_s=30)
        tab.wait_for("bot-tts-text", after_ms=began_ms, within_s=10)
        asked_ms = tab.now_ms()
        tab.receive({"type": "signalling", "message": {"type": "renegotiate"}})
        ready = tab.wait_for("bot-ready", after_ms=asked_ms, within_s=15)
        is_live_again(tab, 5)
        over = tab.wait_for("bot-stopped-speaking", after_ms=ready.at_ms, within_s=60)
        reply = " ".join(segments(tab.messages(after_ms=ready.at_ms, before_ms=over.at_ms)).values())
        assert shown(tab)[-2:] == [("user", TYPED), ("bot", reply)]
        assert len(sessions(tab)) == 1
        sounds = tab.sounds("voice")
        before_ms = max(each.to_ms or 0 for each in sounds if each.from_ms < asked_ms)
        after_ms = min(each.from_ms for each in sounds if each.from_ms > asked_ms)
        assert after_ms - before_ms < LONGEST_HOLE_MS


def test_who_leaves_is_not_waited_for(page_url: str, tmp_path: Path) -> None:
    microphone = microphone_file(tmp_path / "silence.wav", 1.0)
    with open_tab(tmp_path, microphone) as tab:
        begin(tab, page_url, bot="brief")
        (session_id,) = sessions(tab)
        tab.page.get_by_test_id("leave").click()
        expect(tab.page.get_by_test_id("status")).to_have_text("idle")
        transcript = f"{page_url.partition('/?')[0]}/sessions/{session_id}/transcript"
        with suppress(AssertionError):
            for _ in range(50):
                assert tab.page.request.get(transcript).ok
                tab.page.wait_for_timeout(100)
        assert tab.page.request.get(transcript).status == 404
        tab.page.reload()
        expect(tab.page.get_by_test_id("connect")).to_be_enabled()
        assert len(sessions(tab)) == 1
