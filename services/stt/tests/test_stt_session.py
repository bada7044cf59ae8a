"""The stt stage over a real broker with the real model, driven as a conductor would."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import jiwer
import numpy as np
import numpy.typing as npt
import pytest
from prometheus_client import CollectorRegistry

from natter_common.providers import installed
from natter_common.worker import StageDefinition
from natter_proto import Fault, Stage, Transcript
from natter_stt.local import LocalProvider
from natter_stt.main import declare, define
from natter_stt.provider import ENTRY_POINT_GROUP, Emit, SpeechEnds, StreamSettings, SttError, SttProvider, SttStream
from natter_testing.stage_harness import StageHarness, new_lease, stage_under_test

# One loop for all, so that the recognizer is started once.
pytestmark = pytest.mark.asyncio(loop_scope="module")

SENTENCE = "Can you tell me what time the next train leaves for Boston?"
MS = 16

Say = Callable[[str], npt.NDArray[np.int16]]


def local(recognizer: LocalProvider) -> StageDefinition:
    return define({"local": recognizer})


def silence(duration_ms: int) -> bytes:
    return bytes(duration_ms * MS * 2)


def text_of(frames: list[Transcript]) -> str:
    return " ".join(word.text for frame in frames for word in frame.words)


def plain(text: str) -> str:
    return "".join(letter for letter in text.lower() if letter.isalnum() or letter == " ")


def answers(finalize_id: int) -> Callable[[Transcript], bool]:
    return lambda frame: frame.final and frame.finalize_id == finalize_id


async def utter(stage: StageHarness, audio: npt.NDArray[np.int16], finalize_id: int) -> Transcript:
    """Say something as vad and the conductor would report it, and wait for the final."""
    begin = stage.next_sample
    await stage.send_mic(audio.tobytes()[:12_800])
    await stage.send_state(speaking=True, speech_from_sample=begin + 200 * MS)
    await stage.send_mic(audio.tobytes()[12_800:] + silence(200))
    end = begin + len(audio) - 400 * MS
    await stage.send_state(speaking=False, speech_from_sample=begin + 200 * MS, speech_to_sample=end)
    await stage.send_finalize(finalize_id, end)
    return await stage.wait_for(Transcript, answers(finalize_id))


async def test_an_utterance_gets_interims_and_one_final(
    recognizer: LocalProvider, say: Say, nats_url: str, realm: str
) -> None:
    async with stage_under_test(local(recognizer), nats_url, realm) as stage:
        assert (await stage.lease(new_lease(Stage.STAGE_STT, "local"))).detail == recognizer.describe()
        audio = say(SENTENCE)
        await stage.send_mic(silence(500))
        begin = stage.next_sample
        await stage.send_state(speaking=True, speech_from_sample=begin + 200 * MS)
        await stage.send_mic(audio.tobytes()[: 1_200 * MS * 2])
        interim = await stage.wait_for(Transcript, lambda frame: not frame.final)
        assert interim.revision == 1
        assert interim.words
        await stage.send_mic(audio.tobytes()[1_200 * MS * 2 :] + silence(100))
        end = begin + len(audio) - 400 * MS
        await stage.send_state(speaking=False, speech_from_sample=begin + 200 * MS, speech_to_sample=end)
        await stage.send_finalize(5, end)
        final = await stage.wait_for(Transcript, answers(5))
        assert plain(text_of([final])) == plain(SENTENCE)
        assert (final.through_sample, final.provider, final.language) == (end, "local", "en")
        assert all(word.estimated and begin <= word.from_sample < word.to_sample <= end + 1_600 for word in final.words)
        assert final.header.epoch == 1
        await stage.wait_until(
            lambda: any(held.sample == stage.next_sample for beat in stage.beats for held in beat.held)
        )


async def test_each_utterance_has_its_own_words(recognizer: LocalProvider, say: Say, nats_url: str, realm: str) -> None:
    async with stage_under_test(local(recognizer), nats_url, realm) as stage:
        await stage.lease(new_lease(Stage.STAGE_STT, "local"))
        for number, sentence in enumerate(["What is the capital of France?", "Stop.", SENTENCE], 1):
            final = await utter(stage, say(sentence), number)
            assert plain(text_of([final])) == plain(sentence)
        finals = [frame for frame in stage.of(Transcript) if frame.final]
        assert [frame.finalize_id for frame in finals] == [1, 2, 3]


async def test_finalize_without_words_is_answered_all_the_same(
    recognizer: LocalProvider, nats_url: str, realm: str
) -> None:
    async with stage_under_test(local(recognizer), nats_url, realm) as stage:
        await stage.lease(new_lease(Stage.STAGE_STT, "local"))
        await stage.send_mic(silence(1_000))
        await stage.send_finalize(1, 16_000)
        # Its audio never comes: answered with what is there.
        await stage.send_finalize(2, 32_000)
        for number in (1, 2):
            final = await stage.wait_for(Transcript, answers(number))
            assert not final.words


async def test_long_speech_is_closed_by_itself_and_loses_nothing(
    recognizer: LocalProvider, say: Say, nats_url: str, realm: str
) -> None:
    sentence = (
        "I have been thinking about our plans for the summer holiday, and I believe that we should visit the mountains "
        "first and then drive down to the coast."
    )
    async with stage_under_test(local(recognizer), nats_url, realm) as stage:
        await stage.lease(new_lease(Stage.STAGE_STT, "local", '{"interim_interval_ms": 0}'))
        await utter(stage, np.concatenate([say(sentence)] * 2), 1)
        finals = [frame for frame in stage.of(Transcript) if frame.final]
        assert [frame.finalize_id for frame in finals][-1] == 1
        assert [frame.finalize_id for frame in finals][:-1].count(0) == len(finals) - 1 >= 1
        assert jiwer.wer(plain(f"{sentence} {sentence}"), plain(text_of(finals))) < 0.15


async def test_a_takeover_begins_behind_the_last_final(
    recognizer: LocalProvider, say: Say, nats_url: str, realm: str
) -> None:
    async with stage_under_test(local(recognizer), nats_url, realm) as stage:
        first, second = say("What is the capital of France?"), say("Please remind me to call my mother.")
        # The worker before has heard all this; the new one pulls what it needs when the next frame shows the gap.
        await stage.send_mic(first.tobytes() + second.tobytes(), lost=True)
        lease = new_lease(Stage.STAGE_STT, "local", epoch=2)
        lease.from_sample = len(first)
        await stage.lease(lease)
        await stage.send_state(speaking=True, speech_from_sample=200 * MS)
        await stage.send_mic(silence(200))
        await stage.send_state(speaking=False, speech_from_sample=200 * MS)
        await stage.send_finalize(1, stage.next_sample)
        final = await stage.wait_for(Transcript, answers(1))
        assert plain(text_of([final])) == "please remind me to call my mother"


@pytest.mark.parametrize(
    ("settings", "word"),
    [('{"language": "de"}', "English"), ('{"model": "large"}', "large"), ('{"interim_interval_ms": -1}', "interim")],
)
async def test_settings_that_can_not_be_are_refused(
    recognizer: LocalProvider, settings: str, word: str, nats_url: str, realm: str
) -> None:
    async with stage_under_test(local(recognizer), nats_url, realm) as stage:
        answer = await stage.lease(new_lease(Stage.STAGE_STT, "local", settings))
        assert (answer.ok, answer.code) == (False, "bad_settings")
        assert word in answer.words


class BrokenStream:
    """A stream whose recognizer goes away as soon as it is asked for something."""

    def __init__(self) -> None:
        self._asked = asyncio.Event()

    def feed(self, first_sample: int, pcm: bytes) -> None: ...

    def speech(self, from_sample: int, *, speaking: bool) -> None: ...

    def finalize(self, finalize_id: int, through_sample: int) -> None:
        self._asked.set()

    async def run(self) -> None:
        await self._asked.wait()
        raise SttError("gone", "the recognizer went away", retryable=True)


class BrokenProvider(SttProvider):
    """Provides broken streams."""

    name = "broken"
    speech_ends = SpeechEnds.FINALIZE
    final_within_ms = 800

    def describe(self) -> str:
        return "Nothing, for tests"

    async def load(self, registry: CollectorRegistry) -> None: ...

    async def probe(self) -> None: ...

    def open(self, settings: StreamSettings, emit: Emit) -> SttStream:
        return BrokenStream()

    async def close(self) -> None: ...


async def test_a_stream_that_can_not_go_on_says_a_fault(nats_url: str, realm: str) -> None:
    async with stage_under_test(define({"broken": BrokenProvider()}), nats_url, realm) as stage:
        await stage.lease(new_lease(Stage.STAGE_STT, "broken"))
        await stage.send_finalize(1, 0)
        fault = await stage.wait_for(Fault)
        assert (fault.code, fault.stage, fault.provider) == ("gone", Stage.STAGE_STT, "broken")
        assert fault.retryable


async def test_the_lease_says_what_a_recognizer_declares(recognizer: LocalProvider, nats_url: str, realm: str) -> None:
    async with stage_under_test(define({"local": recognizer, "broken": BrokenProvider()}), nats_url, realm) as stage:
        declared = (await stage.lease(new_lease(Stage.STAGE_STT, "local"))).recognizer
        assert (declared.early_final, declared.stable_interims, declared.final_grace_ms) == (False, True, 800)
    # What a provider leaves out.
    left_out = declare(BrokenProvider())
    assert (left_out.early_final, left_out.stable_interims, left_out.final_grace_ms) == (False, False, 0)
    assert left_out.final_within_ms == 800


async def test_the_built_in_recognizer_is_registered() -> None:
    assert any(isinstance(provider, LocalProvider) for provider in installed(ENTRY_POINT_GROUP, SttProvider))
