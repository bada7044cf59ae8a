"""The vad stage over a real broker, driven as a conductor would."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest

from natter_common.metrics import Metrics
from natter_common.worker import Input, StageDefinition
from natter_proto import Speech, SpeechEvent, Stage, WorkerRequest
from natter_testing.stage_harness import StageHarness, new_lease, stage_under_test
from natter_vad.batcher import Batcher
from natter_vad.estimator import EndModel
from natter_vad.main import define
from natter_vad.session import VadSession
from natter_vad.silero import SileroModel

SENTENCE = "The weather in Lisbon is warm and sunny this afternoon."
ONSET = SpeechEvent.SPEECH_EVENT_ONSET
SPEECH = SpeechEvent.SPEECH_EVENT_SPEECH
PAUSE = SpeechEvent.SPEECH_EVENT_PAUSE
RESUME = SpeechEvent.SPEECH_EVENT_RESUME
DIP = SpeechEvent.SPEECH_EVENT_DIP
GOES_ON = SpeechEvent.SPEECH_EVENT_GOES_ON
ESTIMATE = SpeechEvent.SPEECH_EVENT_ESTIMATE
LASTING = {ONSET, SPEECH, PAUSE, RESUME}

Say = Callable[[str], npt.NDArray[np.int16]]


def silence(duration_ms: int) -> bytes:
    return bytes(duration_ms * 32)


def said(speech: Say) -> bytes:
    audio = speech(SENTENCE)
    return audio[: len(audio) // 320 * 320].tobytes()


class FixedModel:
    """Says the same of every turn, at once or when told, and notes what it was given."""

    def __init__(self, probability: float, *, waits: bool = False) -> None:
        self._probability = probability
        self.go_on = threading.Event()
        if not waits:
            self.go_on.set()
        self.asked: list[tuple[int, int]] = []

    def complete(self, pcm: bytes, quiet_samples: int) -> float:
        assert self.go_on.wait(10)
        self.asked.append((len(pcm) // 2, quiet_samples))
        return self._probability


async def vad_of(silero: SileroModel, end_model: EndModel | None = None) -> StageDefinition:
    return define(silero, end_model, Metrics("vad"))


def is_event(event: int) -> Callable[[Speech], bool]:
    return lambda frame: frame.event == event


def events(stage: StageHarness) -> list[int]:
    """What happened, without what lies inside of sentences: that is the built-in voice's affair."""
    return [frame.event for frame in stage.of(Speech) if frame.event in LASTING]


async def test_a_session_that_never_ran_leaves_its_lane(silero: SileroModel, nats_url: str, realm: str) -> None:
    batcher = Batcher(silero)
    definition = StageDefinition(
        Stage.STAGE_VAD,
        Input.MIC,
        {"local": "for tests"},
        lambda lease, outlet: VadSession(lease, outlet, batcher, None),
    )
    async with stage_under_test(definition, nats_url, realm) as stage:
        lease = new_lease(Stage.STAGE_VAD, "local")
        await asyncio.gather(stage.lease(lease), stage.release(lease))
        async with asyncio.timeout(10):
            while batcher.lanes:
                await stage.ask(WorkerRequest(ping={}))


async def test_a_sentence_is_an_onset_speech_and_a_pause(
    silero: SileroModel, speech: Say, nats_url: str, realm: str
) -> None:
    async with stage_under_test(await vad_of(silero), nats_url, realm) as stage:
        assert (await stage.lease(new_lease(Stage.STAGE_VAD, "local"))).ok
        await stage.send_mic(silence(500) + said(speech) + silence(300))
        pause = await stage.wait_for(Speech, is_event(PAUSE))
        assert events(stage) == [ONSET, SPEECH, PAUSE]
        onset, full = (frame for frame in stage.of(Speech) if frame.event in {ONSET, SPEECH})
        dip = [frame for frame in stage.of(Speech) if frame.event == DIP][-1]
        assert onset.sample == full.sample < full.through_sample < pause.sample
        assert 3_200 <= pause.through_sample - pause.sample < 3_200 + 512
        assert pause.probability == 0.0
        assert dip.sample == pause.sample
        assert 800 <= dip.through_sample - dip.sample < 800 + 512
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
            found.append([(frame.event, frame.sample) for frame in stage.of(Speech) if frame.event in LASTING])
    assert found[0] == found[1]


async def test_a_bot_sets_the_silence(silero: SileroModel, speech: Say, nats_url: str, realm: str) -> None:
    async with stage_under_test(await vad_of(silero), nats_url, realm) as stage:
        await stage.lease(new_lease(Stage.STAGE_VAD, "local", '{"min_silence_duration_ms": 600, "newer": 1}'))
        await stage.send_mic(silence(500) + said(speech) + silence(700))
        pause = await stage.wait_for(Speech, is_event(PAUSE))
        assert 9_600 <= pause.through_sample - pause.sample < 9_600 + 512


async def test_the_model_is_asked_once_a_quiet_and_its_answer_is_said(
    silero: SileroModel, speech: Say, nats_url: str, realm: str
) -> None:
    model, metrics = FixedModel(0.75), Metrics("vad")
    async with stage_under_test(define(silero, model, metrics), nats_url, realm) as stage:
        await stage.lease(new_lease(Stage.STAGE_VAD, "local"))
        await stage.send_mic(silence(500) + said(speech) + silence(100))
        # The sentence ends with silence of its own, more than 100 ms: the answer is there before the pause.
        last = await stage.wait_for(Speech, is_event(PAUSE))
        estimate = await stage.wait_for(Speech, lambda frame: frame.event == ESTIMATE and frame.sample == last.sample)
        assert estimate.probability == 0.75
        assert last.probability in {0.0, 0.75}
        assert 1_280 <= estimate.through_sample - estimate.sample <= 3_200
        samples, quiet = model.asked[-1]
        assert quiet == estimate.through_sample - estimate.sample
        onset = next(frame for frame in stage.of(Speech) if frame.event == ONSET)
        assert samples == estimate.through_sample - max(0, onset.sample - 8_000)
        value = metrics.registry.get_sample_value
        labels = {"stage": "vad", "provider": "local", "work": "end_of_turn"}
        assert value("natter_vad_end_of_turn_total", {"outcome": "asked"}) == len(model.asked)
        assert value("natter_stage_latency_seconds_count", labels) == len(model.asked)


async def test_an_answer_for_a_quiet_that_is_over_is_not_sent(
    silero: SileroModel, speech: Say, nats_url: str, realm: str
) -> None:
    model = FixedModel(0.9, waits=True)
    async with stage_under_test(await vad_of(silero, model), nats_url, realm) as stage:
        await stage.lease(new_lease(Stage.STAGE_VAD, "local"))
        await stage.send_mic(silence(500) + said(speech))
        await stage.wait_for(Speech, is_event(PAUSE))
        await stage.send_mic(said(speech) + silence(300))
        await stage.wait_until(lambda: events(stage).count(PAUSE) == 2)
        model.go_on.set()
        await stage.wait_for(Speech, is_event(ESTIMATE))
        last = [frame for frame in stage.of(Speech) if frame.event == PAUSE][-1]
        assert {frame.sample for frame in stage.of(Speech) if frame.event == ESTIMATE} == {last.sample}
        assert last.probability == 0.0


@pytest.mark.parametrize(("has_model", "settings"), [(False, ""), (True, '{"end_of_turn": "silence"}')])
async def test_without_the_model_600_ms_of_silence_end_a_turn(
    has_model: bool, settings: str, silero: SileroModel, speech: Say, nats_url: str, realm: str
) -> None:
    model = FixedModel(0.5) if has_model else None
    async with stage_under_test(await vad_of(silero, model), nats_url, realm) as stage:
        await stage.lease(new_lease(Stage.STAGE_VAD, "local", settings))
        await stage.send_mic(silence(500) + said(speech) + silence(700))
        estimate = await stage.wait_for(Speech, is_event(ESTIMATE))
        assert estimate.probability == 1.0
        assert estimate.through_sample - estimate.sample >= 9_600
        assert model is None or not model.asked


async def test_an_utterance_too_short_to_be_reported_dips_and_is_asked_about(
    silero: SileroModel, speech: Say, nats_url: str, realm: str
) -> None:
    async with stage_under_test(await vad_of(silero, FixedModel(0.8)), nats_url, realm) as stage:
        await stage.lease(new_lease(Stage.STAGE_VAD, "local", '{"min_speech_duration_ms": 5000}'))
        await stage.send_mic(silence(500) + said(speech) + silence(300))
        false_onset = await stage.wait_for(Speech, is_event(SpeechEvent.SPEECH_EVENT_FALSE_ONSET))
        estimate = await stage.wait_for(
            Speech, lambda frame: frame.event == ESTIMATE and frame.sample == false_onset.sample
        )
        assert (false_onset.probability, estimate.probability) == (0.0, pytest.approx(0.8))


@pytest.mark.parametrize(
    "settings",
    [
        '{"threshold": 2}',
        '{"end_of_turn": "oracle"}',
        '{"dip_ms": 5}',
        '{"min_silence_duration_ms": "long"}',
        "no json",
    ],
)
async def test_settings_that_can_not_be_are_refused(
    silero: SileroModel, settings: str, nats_url: str, realm: str
) -> None:
    async with stage_under_test(await vad_of(silero), nats_url, realm) as stage:
        answer = await stage.lease(new_lease(Stage.STAGE_VAD, "local", settings))
        assert (answer.ok, answer.code) == (False, "bad_settings")
        assert "vad." in answer.words
