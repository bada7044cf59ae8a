import asyncio
import json
import time

import httpx
import pytest

from natter_bench.caller import Caller, Network
from natter_bench.conversation import exchange, interrupt
from natter_bench.errors import NothingAnswersError, NotReadyError, RefusedError
from natter_bench.loss import LosePackets
from natter_bench.measure import interruption, turn
from natter_bench.report import contributions, session_report, voice_to_voice
from natter_bench.speech import encode

# Calls in real time, both ends in this process: where it does not get on, what is said is cut.
pytestmark = pytest.mark.alone

PAUSE_S = 0.05


@pytest.fixture
def question(voice_like):
    return encode(voice_like(0.5, 16_000), 16_000)


async def test_turns_are_heard_and_measured(serve_bot, question):
    async with serve_bot() as bot:
        async with Caller.connect(bot.url, bot="teacher") as caller:
            exchanges = [await exchange(caller, question, pause_s=PAUSE_S) for _ in range(2)]
        report = session_report(caller, exchanges, [], 1.0)
    assert bot.bots == ["teacher"]
    assert caller.session_id == "s1"
    assert report.missed_turns == 0
    assert [one.talked_over for one in report.turns] == [False, False]
    # The bot waits for 300 ms of quiet before it answers: whatever the machine, it cannot be sooner.
    assert all(one.voice_to_voice_ms > 250 for one in report.turns)
    assert voice_to_voice([report]).count == 2
    assert [one.user_text for one in report.turns] == ["a question"] * 2
    assert [one.bot_text for one in report.turns] == ["Hello there."] * 2
    assert contributions([report])["endpointing"].p50 == 200
    assert report.setup.started_ms < report.setup.answered_ms < report.setup.connected_ms < report.setup.ready_ms


async def test_the_offer_looks_like_a_browsers(serve_bot):
    async with serve_bot() as bot, Caller.connect(bot.url, via_start=False, bot="b") as caller:
        sdp = bot.sessions[0].peer.remoteDescription.sdp
        kinds = [line.split()[0] for line in sdp.splitlines() if line.startswith("m=")]
        assert kinds == ["m=audio", "m=video", "m=application"]
        assert "a=group:BUNDLE 0 1 2" in sdp
        assert sdp.count("a=sendrecv") == 2
        assert bot.bots == ["b"]
        assert caller.pc_id == "direct"
        assert bot.sessions[0].channel.label == "chat"
        assert bot.sessions[0].channel.ordered


async def test_what_the_caller_says_on_the_data_channel(serve_bot, question):
    async with serve_bot() as bot:
        async with Caller.connect(bot.url) as caller:
            assert caller.undecodable == 1
            caller.send_text("hello")
            caller.mute()
            caller.mute(muted=False)
            await caller.say(question)
            await caller.wait_for("bot-stopped-speaking", after_s=0, within_s=10)
        got = bot.sessions[0].received
        assert bot.sessions[0].texts[0].startswith("ping: ")
    statuses = [
        m["message"]["enabled"] for m in got if m["type"] == "signalling" and m["message"]["receiver_index"] == 0
    ]
    assert statuses == [True, False, True]
    ready = next(m for m in got if m["type"] == "client-ready")
    assert ready["label"] == "rtvi-ai"
    assert ready["data"]["version"] == "2.1.0"
    assert len(ready["id"]) == 8
    text = next(m for m in got if m["type"] == "send-text")
    assert text["data"]["content"] == "hello"


async def test_an_interruption_is_timed(serve_bot, question, voice_like):
    async with serve_bot(reply=encode(voice_like(4, 24_000), 24_000)) as bot:
        async with Caller.connect(bot.url) as caller:
            window = await interrupt(caller, question, question, after_voice_s=0.2)
            assert caller.recording.of_type("bot-interrupted")
        frames = caller.recording.frames()
    heard = interruption(caller.recording.sent, frames, after_s=window.began_s, before_s=window.ended_s)
    # The bot's answer to the interruption is 4 s long: it may not be taken for the reply that was interrupted.
    assert heard.silenced
    assert heard.onset_s < heard.last_audible_s
    after = turn(caller.recording.sent, frames, after_s=window.began_s, before_s=window.ended_s)
    assert after.first_sample_s > heard.last_audible_s


async def test_a_silent_bot_is_a_missed_turn(serve_bot, question, monkeypatch):
    monkeypatch.setattr("natter_bench.conversation.MISSED_TURN_S", 0.2)
    async with serve_bot(answers=False) as bot, Caller.connect(bot.url) as caller:
        window = await exchange(caller, question, pause_s=PAUSE_S)
    assert turn(caller.recording.sent, caller.recording.frames(), after_s=window.began_s).missed


async def test_lost_packets_do_not_arrive(serve_bot, question):
    network = Network(outgoing=LosePackets(frozenset({3, 4})), incoming=LosePackets(frozenset({2})))
    async with serve_bot() as bot, Caller.connect(bot.url, network=network) as caller:
        await exchange(caller, question, pause_s=PAUSE_S)
        receiver = bot.sessions[0].peer.getTransceivers()[0].receiver
        inbound = [s for s in (await receiver.getStats()).values() if s.type == "inbound-rtp"]
        assert [s.packetsLost for s in inbound] == [2]
    assert caller.dropped == (2, 1)
    assert [frame.lost for frame in caller.recording.sent[:6]] == [False, False, False, True, True, False]
    frames = caller.recording.frames()
    assert [frame.source for frame in frames[:4]] == ["packet", "packet", "plc", "packet"]
    assert caller.late_packets == 0


async def test_receiver_reports_reach_the_bot(serve_bot):
    """A gateway adapts its FEC to them, and the tap has to make them although it replaces aiortc's handler."""
    network = Network(incoming=LosePackets(frozenset({5, 6, 7})))
    async with serve_bot() as bot, Caller.connect(bot.url, network=network) as caller:
        sender = bot.sessions[0].peer.getTransceivers()[0].sender
        async with asyncio.timeout(20):
            while True:
                reports = [s for s in (await sender.getStats()).values() if s.type == "remote-inbound-rtp"]
                if reports and reports[0].packetsLost == 3:
                    break
                await caller.wait_until(lambda: False, within_s=0.1)


async def test_a_call_goes_on_over_a_new_connection(serve_bot, question):
    async with serve_bot() as bot, Caller.connect(bot.url) as caller:
        await exchange(caller, question)
        pc_id = caller.pc_id
        await caller.reconnect()
        assert caller.pc_id == pc_id
        assert [offer["restart_pc"] for offer in bot.offers] == [False, True]
        assert [offer["pc_id"] for offer in bot.offers] == [None, pc_id]
        first, second = bot.sessions
        asked_s = time.monotonic()
        await exchange(caller, question)
        assert caller.last_audible_s > asked_s
        assert (first.replies, second.replies) == (1, 1)
        assert await caller.wait_until(lambda: first.peer.connectionState == "closed", 5.0)
        assert await caller.wait_until(lambda: bool(second.texts), 5.0), "pings go on"


async def test_two_callers_share_a_client(serve_bot, question):
    async with (
        serve_bot() as bot,
        httpx.AsyncClient() as http,
        Caller.connect(bot.url, http=http) as one,
        Caller.connect(bot.url, http=http) as two,
    ):
        async with asyncio.TaskGroup() as tasks:
            for caller in (one, two):
                tasks.create_task(exchange(caller, question, pause_s=PAUSE_S), name="exchange")
        assert one.last_audible_s > 0
        assert two.last_audible_s > 0
        assert one.session_id != two.session_id


async def test_no_capacity_says_when_to_come_back(serve_bot):
    async with serve_bot(capacity=0) as bot:
        with pytest.raises(RefusedError) as refused:
            async with Caller.connect(bot.url):
                pass
    assert (refused.value.status, refused.value.detail, refused.value.retry_after_s) == (503, "no capacity", 3.0)


async def test_a_bot_that_is_never_ready(serve_bot):
    async with serve_bot(ready=False) as bot:
        with pytest.raises(NotReadyError, match="not ready"):
            async with Caller.connect(bot.url, ready_within_s=3):
                pass


async def test_nothing_answers(unused_address):
    with pytest.raises(NothingAnswersError, match="nothing answers at http"):
        async with Caller.connect(unused_address):
            pass


async def test_nothing_is_left_running(serve_bot):
    async with serve_bot() as bot:
        before = asyncio.all_tasks()
        async with Caller.connect(bot.url):
            pass
        await bot.close()
        left = {task for task in asyncio.all_tasks() - before if "caller" in task.get_name()}
        assert left == set()
        assert json.dumps(bot.sessions[0].received[-1]["type"]) == '"disconnect-bot"'
