"""The tts worker over a real broker."""

import asyncio
from collections.abc import AsyncGenerator

import pytest
from prometheus_client import CollectorRegistry

from natter_proto import (
    Attempt,
    Codec,
    Fault,
    Modality,
    Reply,
    ReplyKind,
    Stage,
    Voice,
    WorkerRequest,
    decode_voice,
    encode,
)
from natter_testing.stage_harness import StageHarness, new_lease, stage_under_test
from natter_tts.local import LocalProvider
from natter_tts.main import define
from natter_tts.provider import SpokenWord, TtsError, TtsSettings, VoiceChunk


class ScriptedVoice:
    """20 ms for each segment; what it shall do else stands in the text. Keeps what it was told of next segments."""

    name = "scripted"

    def __init__(self) -> None:
        self.closed = asyncio.Event()
        self.streams = 0
        self.expected: list[tuple[str, str]] = []

    def expect(self, text: str, spoken: str, *, attempt: str) -> None:
        if (attempt, text) not in self.expected:
            self.expected.append((attempt, text))

    def describe(self) -> str:
        return "scripted"

    async def load(self, registry: CollectorRegistry) -> None: ...

    async def probe(self) -> None: ...

    def open(self, settings: TtsSettings) -> "ScriptedVoice":
        self.streams += 1
        return self

    async def synthesize(self, text: str, spoken: str, *, attempt: str, last: bool) -> AsyncGenerator[VoiceChunk, None]:
        try:
            if "fail" in text:
                raise TtsError("broken", "it broke")
            yield VoiceChunk(0, bytes(960), (SpokenWord(text, 0, 400),))
            if "hang" in text:
                await asyncio.Event().wait()
            yield VoiceChunk(480, b"", end=True, total_samples=480)
        finally:
            if "hang" in text:
                self.closed.set()

    async def close(self) -> None:
        self.streams -= 1


async def say(stage: StageHarness, turn: int, segment: int, text: str, attempt: int = 1) -> None:
    header = stage.header(turn, attempt, segment)
    await stage.send_reply(Reply(header=header, kind=ReplyKind.REPLY_KIND_SEGMENT, text=text, spoken=text))


async def begin(stage: StageHarness, provider: str = "scripted", settings: str = "{}", granted: int = 9) -> None:
    assert (await stage.lease(new_lease(Stage.STAGE_TTS, provider, settings))).ok
    await stage.send_state([Attempt(turn=1, attempt=1, committed=True, segments_granted=granted)])


def ends(stage: StageHarness) -> list[tuple[int, int, int]]:
    return [(v.header.turn, v.header.attempt, v.header.segment) for v in stage.of(Voice) if v.audio.end]


async def test_a_segment_becomes_voice_with_words(nats_url: str, realm: str, local_voice: LocalProvider) -> None:
    text = "Hello there, how are you today? "
    async with stage_under_test(define({"local": local_voice}), nats_url, realm) as stage:
        await begin(stage, "local", '{"voice": null, "speed": 1.0, "language": "en"}')
        await say(stage, 1, 1, text)
        end = await stage.wait_for(Voice, lambda voice: voice.audio.end)
        frames = stage.of(Voice)
        assert [frame.audio.sample_count for frame in frames][:2] == [480, 4800]
        position = 0
        for frame in frames:
            decode_voice(encode(frame))
            assert (frame.audio.rate_hz, frame.audio.codec) == (24_000, Codec.CODEC_PCM_S16LE)
            assert (frame.header.turn, frame.header.attempt, frame.header.segment) == (1, 1, 1)
            assert frame.audio.first_sample == position
            position += frame.audio.sample_count
        assert end.total_samples == position > 24_000
        assert [word.text for frame in frames for word in frame.words] == text.split()


async def test_a_session_that_never_ran_closes_its_voice(nats_url: str, realm: str) -> None:
    voice = ScriptedVoice()
    async with stage_under_test(define({"scripted": voice}), nats_url, realm) as stage:
        lease = new_lease(Stage.STAGE_TTS, "scripted")
        await asyncio.gather(stage.lease(lease), stage.release(lease))
        async with asyncio.timeout(10):
            while voice.streams:
                await stage.ask(WorkerRequest(ping={}))


async def test_only_what_is_granted_is_spoken(nats_url: str, realm: str) -> None:
    async with stage_under_test(define({"scripted": ScriptedVoice()}), nats_url, realm) as stage:
        await begin(stage, granted=1)
        for number in (1, 2, 3):
            await say(stage, 1, number, f"Number {number}.")
        await stage.wait_until(lambda: len(ends(stage)) == 1)
        await stage.send_state([Attempt(turn=1, attempt=1, committed=True, segments_granted=2)])
        await stage.wait_until(lambda: len(ends(stage)) == 2)
        await stage.send_state([Attempt(turn=2, attempt=1, committed=True, segments_granted=9)])
        await say(stage, 2, 1, "Next.")
        await stage.wait_until(lambda: len(ends(stage)) == 3)
        assert ends(stage) == [(1, 1, 1), (1, 1, 2), (2, 1, 1)]


async def test_the_voice_knows_the_next_segment_while_it_makes_one_as_far_as_granted(nats_url: str, realm: str) -> None:
    voice = ScriptedVoice()
    async with stage_under_test(define({"scripted": voice}), nats_url, realm) as stage:
        await begin(stage, granted=2)
        await say(stage, 1, 1, "hang")
        await stage.wait_for(Voice)
        await say(stage, 1, 2, "Two.")
        await say(stage, 1, 3, "Three.")
        await stage.wait_until(lambda: bool(voice.expected))
        await stage.send_state([Attempt(turn=1, attempt=1, committed=True, segments_granted=1)])
        await stage.send_state([Attempt(turn=2, attempt=1, committed=True, segments_granted=9)])
        await say(stage, 2, 1, "Next.")
        await stage.wait_until(lambda: len(ends(stage)) == 1)
        assert voice.expected == [("1.1", "Two.")]


async def test_a_segment_whose_attempt_dies_is_broken_off(nats_url: str, realm: str) -> None:
    voice = ScriptedVoice()
    async with stage_under_test(define({"scripted": voice}), nats_url, realm) as stage:
        await begin(stage)
        await say(stage, 1, 1, "hang")
        await stage.wait_for(Voice)
        await stage.send_state([Attempt(turn=2, attempt=1, committed=True, segments_granted=9)])
        async with asyncio.timeout(10):
            await voice.closed.wait()
        await say(stage, 2, 1, "Next.")
        await stage.wait_until(lambda: len(ends(stage)) == 1)
        assert ends(stage) == [(2, 1, 1)]


async def test_a_failure_is_said_and_the_next_attempt_is_spoken(nats_url: str, realm: str) -> None:
    async with stage_under_test(define({"scripted": ScriptedVoice()}), nats_url, realm) as stage:
        await begin(stage)
        await say(stage, 1, 1, "fail")
        await say(stage, 1, 2, "Silent.")
        fault = await stage.wait_for(Fault)
        assert (fault.code, fault.header.turn, fault.header.attempt, fault.header.segment) == ("broken", 1, 1, 1)
        await stage.send_state([Attempt(turn=1, attempt=2, committed=True, segments_granted=9)])
        await say(stage, 1, 1, "Again.", attempt=2)
        await stage.wait_until(lambda: len(ends(stage)) == 1)
        assert ends(stage) == [(1, 2, 1)]


async def test_replies_that_are_only_read_are_silent(nats_url: str, realm: str) -> None:
    async with stage_under_test(define({"scripted": ScriptedVoice()}), nats_url, realm) as stage:
        await begin(stage)
        text = Attempt(turn=2, attempt=1, segments_granted=9, modality=Modality.MODALITY_TEXT)
        await stage.send_state([text, Attempt(turn=3, attempt=1, committed=True, segments_granted=9)])
        await say(stage, 2, 1, "Read me.")
        await say(stage, 3, 1, "Speak.")
        await stage.wait_until(lambda: len(ends(stage)) == 1)
        assert ends(stage) == [(3, 1, 1)]


async def test_a_reply_that_overflows_fails_loudly(nats_url: str, realm: str) -> None:
    async with stage_under_test(define({"scripted": ScriptedVoice()}), nats_url, realm) as stage:
        await begin(stage, granted=0)
        for number in range(1, 258):
            await say(stage, 1, number, "More.")
        assert (await stage.wait_for(Fault)).code == "overflow"
        assert (await stage.ask(WorkerRequest(ping={}))).ok


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        ('{"speed": 9}', "bad_settings"),
        ('{"voice": "nobody"}', "unknown_voice"),
        ('{"language": "de"}', "unknown_language"),
    ],
)
async def test_settings_that_can_not_be_are_refused(
    nats_url: str, realm: str, local_voice: LocalProvider, settings: str, code: str
) -> None:
    async with stage_under_test(define({"local": local_voice}), nats_url, realm) as stage:
        answer = await stage.lease(new_lease(Stage.STAGE_TTS, "local", settings))
        assert (answer.ok, answer.code) == (False, code)
