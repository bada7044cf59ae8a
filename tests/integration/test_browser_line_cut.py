"""The caller's network is really taken away, or the gateway is: the conversation goes on where it was.

Every datagram and every request passes a network of the test's own (`natter_testing.caller_line`). The stages are
emulated: this is about what browsers and gateways do.
"""

import re
import signal
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest
from playwright.sync_api import Page, expect

from natter_local.system import GATEWAY, LocalSystem
from natter_testing.aside import aside
from natter_testing.browser import Tab, microphone_file, open_tab
from natter_testing.browser.direct_page import direct_page
from natter_testing.browser.wire import segments
from natter_testing.caller_line import CallerLine, caller_line
from natter_testing.emulated_system import ALL, emulated_system

pytestmark = pytest.mark.timeout(240)

WEB: Final = Path(__file__).parents[2] / "web"
BOT: Final = "name: Echo\ndefault: true\ngreeting: Hello, I am here.\nprompt: You are a script.\nrecord: text\n"
OFFLINE_S: Final = (5.0, 25.0, 55.0)
BACK_WITHIN_S: Final = 5.0
AGAIN_S: Final = 3.0
LONGEST_HOLE_MS: Final = 500.0
OFFICIAL_BACK_WITHIN_S: Final = 30.0
READY_WITHIN_S: Final = 60.0
LEAST_VOICE_BYTES: Final = 4_000
"""Of an answer of two seconds; silence is less than a tenth of that."""
TYPED: Final = "Do you like tea?"
ANSWERED_S: Final = 7.0
"""From a question to the end of its answer."""
QUESTION: Final = "What should I do on a rainy day?"


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalSystem]:
    if not (WEB / "dist" / "index.html").is_file():
        pytest.fail("the page is not built: run `make web`, or `npm ci && npm run build` in web/")
    folder = tmp_path_factory.mktemp("line-cut")
    bots = folder / "with-record"
    bots.mkdir()
    (bots / "echo.yaml").write_text(BOT)
    env = {"NATTER_BOTS_DIR": str(bots), "NATTER_WEB_DIR": str(WEB / "dist"), "NATTER_DRAIN_S": "6"}
    options = ("--sentences", "1", "--letters-per-s", "25")
    with aside(emulated_system(folder, services={GATEWAY: 2, ALL: 1}, env=env, options=options, keep_up=True)) as up:
        yield up


@pytest.fixture(scope="module")
def direct_page_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with direct_page(WEB, tmp_path_factory.mktemp("direct-page")) as url:
        yield url


@contextmanager
def a_call(system: LocalSystem, folder: Path, *, away_s: float) -> Generator[tuple[Tab, CallerLine]]:
    """Our page in a call over a network of its own, after a turn that was spoken; `away_s` from now it asks again."""
    folder.mkdir(exist_ok=True)
    gateways = [gateway.url for gateway in system.of(GATEWAY)]
    microphone = microphone_file(folder / "question.wav", 3.0, QUESTION, ANSWERED_S + away_s, QUESTION)
    with aside(caller_line(gateways)) as line, open_tab(folder, microphone) as tab:
        tab.page.goto(f"{line.url}/?e2e=1")
        tab.page.get_by_test_id("connect").click()
        is_live(tab.page, 30)
        hear_an_answer(tab, after_ms=0)
        yield tab, line


def is_live(page: Page, within_s: float) -> None:
    expect(page.get_by_test_id("status")).to_have_text(
        re.compile("^(listening|thinking|speaking)$"), timeout=within_s * 1_000
    )


def hear_an_answer(tab: Tab, *, after_ms: float) -> None:
    """What the microphone plays is heard as a question, and answered."""
    asked = tab.wait_for("user-llm-text", after_ms=after_ms, within_s=30)
    answer = tab.wait_for("bot-started-speaking", after_ms=asked.at_ms, within_s=30)
    tab.wait_for("bot-stopped-speaking", after_ms=answer.at_ms, within_s=40)


def shown(tab: Tab) -> Sequence[tuple[str, str]]:
    items = tab.page.get_by_test_id("message").all()
    return [(item.get_attribute("data-role") or "", item.inner_text()) for item in items]


def sessions(tab: Tab) -> set[str]:
    return {found[1] for each in tab.addresses if (found := re.search(r"/sessions/([^/]+)/api/offer$", each))}


def transcript(tab: Tab, line: CallerLine, session_id: str) -> Sequence[tuple[str, str]]:
    """What the gateway has of the conversation."""
    answer = tab.page.request.get(f"{line.url}/sessions/{session_id}/transcript")
    turns: list[dict[str, Any]] = answer.json()["turns"]
    return [(role, each[role]) for each in turns for role in ("user", "bot") if each[role] is not None]


def goes_on(tab: Tab, line: CallerLine, before: Sequence[tuple[str, str]], *, lost_ms: float) -> None:
    """Behind an interruption the call is the same one: its words whole, on the page and at the gateway."""
    hear_an_answer(tab, after_ms=lost_ms)
    is_live(tab.page, 5)
    check_whole(tab, line, before)


def check_whole(tab: Tab, line: CallerLine, before: Sequence[tuple[str, str]]) -> None:
    """One more question and its answer have come to the same conversation; page and gateway agree."""
    after = shown(tab)
    assert after[: len(before)] == list(before)
    assert [role for role, _ in after[len(before) :]] == ["user", "bot"], after
    (session_id,) = sessions(tab)
    assert [text for _, text in after] == [text for _, text in transcript(tab, line, session_id)]
    assert len([each for each in tab.addresses if each.endswith("/start")]) == 1


@contextmanager
def a_direct_call(system: LocalSystem, url: str, folder: Path, *, away_s: float) -> Generator[tuple[Tab, CallerLine]]:
    """Somebody else's page with the official client, in a call after a turn that was spoken."""
    folder.mkdir(exist_ok=True)
    gateways = [gateway.url for gateway in system.of(GATEWAY)]
    microphone = microphone_file(folder / "question.wav", 3.0, QUESTION, ANSWERED_S + away_s, QUESTION)
    with aside(caller_line(gateways)) as line, open_tab(folder, microphone) as tab:
        tab.page.goto(f"{url}/?gateway={line.url}")
        tab.page.click("#connect")
        tab.page.wait_for_function("() => direct.ready || direct.error")
        assert tab.page.evaluate("direct.error") == ""
        hear_an_answer(tab, after_ms=0)
        yield tab, line


def user_texts(tab: Tab) -> Sequence[str]:
    return [str(each.data["text"]) for each in tab.messages() if each.type == "user-llm-text"]


def test_whoever_was_offline_goes_on_however_long_that_was(
    system: LocalSystem, direct_page_url: str, tmp_path: Path
) -> None:
    """All at the same time: mostly they wait."""

    def our_page(seconds: float) -> None:
        with a_call(system, tmp_path / f"offline-{seconds:.0f}", away_s=seconds + AGAIN_S) as (tab, line):
            before, lost_ms = shown(tab), tab.now_ms()
            be_offline(tab, line, seconds)
            is_live(tab.page, BACK_WITHIN_S)
            goes_on(tab, line, before, lost_ms=lost_ms)

    def official_client(seconds: float) -> None:
        with a_direct_call(system, direct_page_url, tmp_path / "official", away_s=seconds + AGAIN_S) as (tab, line):
            before, lost_ms = user_texts(tab), tab.now_ms()
            be_offline(tab, line, seconds)
            hear_an_answer(tab, after_ms=lost_ms)
            asked = user_texts(tab)
            found = transcript(tab, line, tab.page.evaluate("direct.id()"))
            assert len(asked) == len(before) + 1
            assert [text for role, text in found if role == "user"] == asked

    at_once([partial(our_page, seconds) for seconds in OFFLINE_S] + [partial(official_client, OFFLINE_S[0])])


def be_offline(tab: Tab, line: CallerLine, seconds: float) -> None:
    line.cut()
    tab.page.wait_for_timeout(seconds * 1_000)
    line.heal()


def at_once(callers: Sequence[Callable[[], None]]) -> None:
    """Each with a browser of its own, in a thread of its own."""
    with ThreadPoolExecutor(len(callers)) as threads:
        for done in [threads.submit(caller) for caller in callers]:
            done.result()


def test_another_gateway_goes_on_when_one_dies(system: LocalSystem, direct_page_url: str, tmp_path: Path) -> None:
    """Our page is back within five seconds, the official client by itself after about ten.

    With a new peer connection the official client stops the microphone's track, and loses sight of the bot's: it asks
    by typing, and of the voice it can only be shown that it comes.
    """
    ready = threading.Barrier(2, action=lambda: system.of(GATEWAY)[0].send(signal.SIGKILL), timeout=READY_WITHIN_S)

    def gateway_dies(line: CallerLine) -> None:
        # It is started again at once, and is not to be the one that goes on.
        line.gateways.reverse()
        ready.wait()

    def our_page() -> None:
        with a_call(system, tmp_path / "killed", away_s=BACK_WITHIN_S + AGAIN_S) as (tab, line):
            before = shown(tab)
            gateway_dies(line)
            lost_ms = tab.now_ms()
            tab.wait_for("bot-ready", after_ms=lost_ms, within_s=BACK_WITHIN_S)
            goes_on(tab, line, before, lost_ms=lost_ms)

    def official_client() -> None:
        with a_direct_call(system, direct_page_url, tmp_path / "official", away_s=60.0) as (tab, line):
            before, connections = user_texts(tab), tab.page.evaluate("instruments.connections.length")
            gateway_dies(line)
            tab.page.wait_for_function(
                "(old) => instruments.connections.length > old && instruments.channels.at(-1).readyState === 'open'",
                arg=connections,
                timeout=OFFICIAL_BACK_WITHIN_S * 1_000,
            )
            asked_ms, bytes_before = tab.now_ms(), tab.audio_bytes()
            tab.page.evaluate("(text) => direct.send(text)", TYPED)
            answer = tab.wait_for("bot-started-speaking", after_ms=asked_ms, within_s=10)
            tab.wait_for("bot-stopped-speaking", after_ms=answer.at_ms, within_s=40)
            assert tab.audio_bytes() - bytes_before > LEAST_VOICE_BYTES
            said = segments(tab.messages(after_ms=asked_ms))
            found = transcript(tab, line, tab.page.evaluate("direct.id()"))
            assert [text for role, text in found if role == "user"] == [*before, TYPED]
            assert found[-1] == ("bot", " ".join(said.values()))

    at_once([our_page, official_client])


def test_our_page_moves_to_another_gateway_when_one_leaves(system: LocalSystem, tmp_path: Path) -> None:
    with a_call(system, tmp_path / "drained", away_s=1.0) as (tab, line):
        before, asked_ms = shown(tab), tab.now_ms()
        answer = tab.wait_for("bot-started-speaking", after_ms=asked_ms, within_s=30)
        system.of(GATEWAY)[0].send(signal.SIGTERM)
        over = tab.wait_for("bot-stopped-speaking", after_ms=answer.at_ms, within_s=40)
        # Between two turns, as there is one in time.
        tab.wait_for("bot-ready", after_ms=over.at_ms, within_s=5)
        is_live(tab.page, 5)
        check_whole(tab, line, before)
        stretches = [(each.from_ms, each.to_ms or tab.now_ms()) for each in tab.sounds("voice")]
        assert longest_hole_ms([each for each in stretches if each[1] > answer.at_ms]) < LONGEST_HOLE_MS


def longest_hole_ms(stretches: Sequence[tuple[float, float]]) -> float:
    """Between stretches of sound, which may overlap: two connections play for a moment."""
    hole_ms, heard_to_ms = 0.0, stretches[0][0]
    for from_ms, to_ms in sorted(stretches):
        hole_ms, heard_to_ms = max(hole_ms, from_ms - heard_to_ms), max(heard_to_ms, to_ms)
    return hole_ms
