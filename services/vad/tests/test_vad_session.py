"""The vad stage over a real broker, driven as a conductor would."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest

from natter_common.metrics import Metrics
from natter_common.worker import StageDefinition
from natter_proto import Speech, SpeechEvent, Stage
from natter_testing.stage_harness import StageHarness, new_lease, stage_under_test
from natter_vad.main import define
from natter_vad.silero import SileroModel

SENTENCE = "The weather in Lisbon is warm and sunny this afternoon."
ONSET = SpeechEvent.SPEECH_EVENT_ONSET
SPEECH = SpeechEvent.SPEECH_EVENT_SPEECH
PAUSE = SpeechEvent.SPEECH_EVENT_PAUSE
RESUME = SpeechEvent.SPEECH_EVENT_RESUME

Say = Callable[[str], npt.NDArray[np.int16]]


def silence(duration_ms: int) -> bytes:
    return bytes(duration_ms * 32)


def said(speech: Say) -> bytes:
    audio = speech(SENTENCE)
    return audio[: len(audio) // 320 * 320].tobytes()


async def vad_of(silero: SileroModel) -> StageDefinition:
    return define(silero, Metrics("vad"))


def is_event(event: int) -> Callable[[Speech], bool]:
    return lambda frame: frame.event == event


def events(stage: StageHarness) -> list[int]:
    return [frame.event for frame in stage.of(Speech)]


async def test_a_sentence_is_an_onset_speech_and_a_pause(
    silero: SileroModel, speech: Say, nats_url: str, realm: str
) -> None:
    async with stage_under_test(await vad_of(silero), nats_url, realm) as stage:
        assert (await stage.lease(new_lease(Stage.STAGE_VAD, "local"))).ok
        await stage.send_mic(silence(500) + said(speech) + silence(300))
        pause = await stage.wait_for(Speech, is_event(PAUSE))
        assert events(stage) == [ONSET, SPEECH, PAUSE]
        onset, full, _ = stage.of(Speech)
        assert onset.sample == full.sample < full.through_sample < pause.sample
        assert 3_200 <= pause.through_sample - pause.sample < 3_200 + 512
        assert pause.probability == 1.0
        assert onset.header.epoch == 1
        await stage.wait_until(
            lambda: any(held.sample == stage.next_sample for beat in stage.beats for held in beat.held)
        )


async def test_speech_that_goes_on_resumes(silero: SileroModel, speech: Say, nats_url: str, realm: str) -> None:
    async with stage_under_test(await vad_of(silero), nats_url, realm) as stage:
        await stage.lease(new_lease(Stage.STAGE_VAD, "local"))
        await stage.send_mic(silence(500) + said(speech) + said(speech) + silence(300))
        await stage.wait_until(lambda: events(stage).count(PAUSE) == 2)
        assert events(stage) == [ONSET, SPEECH, PAUSE, RESUME, SPEECH, PAUSE]


async def test_mute_ends_open_speech(silero: SileroModel, speech: Say, nats_url: str, realm: str) -> None:
    async with stage_under_test(await vad_of(silero), nats_url, realm) as stage:
        await stage.lease(new_lease(Stage.STAGE_VAD, "local"))
        await stage.send_mic(silence(500) + said(speech)[:48_000])
        await stage.send_mic(said(speech), muted=True)
        pause = await stage.wait_for(Speech, is_event(PAUSE))
        assert pause.sample <= 8_000 + 24_000 + 512
        assert events(stage) == [ONSET, SPEECH, PAUSE]


async def test_a_microphone_that_falls_silent_ends_open_speech(
    silero: SileroModel, speech: Say, nats_url: str, realm: str
) -> None:
    async with stage_under_test(await vad_of(silero), nats_url, realm) as stage:
        await stage.lease(new_lease(Stage.STAGE_VAD, "local"))
        await stage.send_mic(silence(500) + said(speech)[:48_000])
        pause = await stage.wait_for(Speech, is_event(PAUSE))
        assert pause.sample <= stage.next_sample


async def test_lost_frames_are_pulled_and_change_nothing(
    silero: SileroModel, speech: Say, nats_url: str, realm: str
) -> None:
    audio = silence(500) + said(speech) + silence(300)
    found: list[list[tuple[int, int]]] = []
    for lost in (False, True):
        async with stage_under_test(await vad_of(silero), nats_url, realm) as stage:
            await stage.lease(new_lease(Stage.STAGE_VAD, "local"))
            await stage.send_mic(audio[:32_000])
            await stage.send_mic(audio[32_000:41_600], lost=lost)
            await stage.send_mic(audio[41_600:])
            await stage.wait_for(Speech, is_event(PAUSE))
            found.append([(frame.event, frame.sample) for frame in stage.of(Speech)])
    assert found[0] == found[1]


async def test_a_bot_sets_the_silence(silero: SileroModel, speech: Say, nats_url: str, realm: str) -> None:
    async with stage_under_test(await vad_of(silero), nats_url, realm) as stage:
        await stage.lease(new_lease(Stage.STAGE_VAD, "local", '{"min_silence_duration_ms": 600, "newer": 1}'))
        await stage.send_mic(silence(500) + said(speech) + silence(700))
        pause = await stage.wait_for(Speech, is_event(PAUSE))
        assert 9_600 <= pause.through_sample - pause.sample < 9_600 + 512


@pytest.mark.parametrize("settings", ['{"threshold": 2}', '{"min_silence_duration_ms": "long"}', "no json"])
async def test_settings_that_can_not_be_are_refused(
    silero: SileroModel, settings: str, nats_url: str, realm: str
) -> None:
    async with stage_under_test(await vad_of(silero), nats_url, realm) as stage:
        answer = await stage.lease(new_lease(Stage.STAGE_VAD, "local", settings))
        assert (answer.ok, answer.code) == (False, "bad_settings")
        assert "vad." in answer.words
