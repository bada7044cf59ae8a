from __future__ import annotations

import pytest

from natter_common.providers import Trouble
from natter_stt.deepgram.flux import FluxRecognition
from natter_stt.exchange import Alive, Audio, Heard, Received, Signal, SpeechNoticed, VendorWord
from natter_stt.gladia.recognition import GladiaRecognition
from natter_stt.provider import StreamSettings, SttError, TurnSign
from natter_stt.recognition import Recognition


def words(text: str, from_s: float, to_s: float) -> tuple[VendorWord, ...]:
    texts = text.split()
    step = (to_s - from_s) / max(1, len(texts))
    return tuple(VendorWord(word, from_s + at * step, from_s + (at + 1) * step) for at, word in enumerate(texts))


def turn(text: str, to_s: float, sign: TurnSign = TurnSign.NONE) -> Heard:
    return Heard(words(text, 0.1, to_s), 0.0, to_s, sign is TurnSign.END, sign=sign)


def speaking(core: Recognition, duration_ms: int) -> None:
    """Connected; so much was said, sent, and is over; at 10 s of the clock."""
    core.opened(9.0)
    core.feed(0, bytes(32 * duration_ms), 9.5)
    core.speech(0, speaking=True, now=9.5)
    pump(core, 9.9)
    core.speech(0, speaking=False, now=9.9)


def pump(core: Recognition, now: float) -> list[object]:
    steps: list[object] = []
    while (step := core.next_step(now)) is not None:
        steps.append(step)
        core.sent(step, now)
    return steps


def test_flux_says_its_signs_and_the_final_once() -> None:
    core = FluxRecognition(StreamSettings(interim_interval_ms=0))
    speaking(core, 1_000)
    for heard in (
        turn("one", 0.4),
        turn("one two", 0.7, TurnSign.EAGER_END),
        turn("one two", 0.8, TurnSign.RESUMED),
        turn("one two three", 1.0, TurnSign.EAGER_END),
        turn("one two three", 1.0, TurnSign.END),
    ):
        core.message(heard, 10.0)
    said = core.take()
    assert [(transcript.sign, transcript.final, transcript.text) for transcript in said] == [
        (TurnSign.EAGER_END, False, "one two"),
        (TurnSign.RESUMED, False, "one two"),
        (TurnSign.EAGER_END, False, "one two three"),
        (TurnSign.END, True, "one two three"),
    ]
    assert core.quiet


def test_flux_answers_a_request_with_the_end_of_the_turn_and_ends_it_when_it_takes_too_long() -> None:
    core = FluxRecognition(StreamSettings())
    speaking(core, 1_000)
    core.message(turn("one two", 0.9), 10.0)
    core.finalize(4, 16_000, 10.0)
    core.tick(11.5)
    assert pump(core, 11.5) == []
    core.tick(11.7)
    assert pump(core, 11.7) == [Signal.END_TURN]
    core.message(turn("one two", 1.0, TurnSign.END), 11.8)
    final = core.take()[-1]
    assert (final.finalize_id, final.sign, final.text) == (4, TurnSign.END, "one two")


def test_flux_without_a_turn_answers_when_it_has_heard_behind_the_request() -> None:
    core = FluxRecognition(StreamSettings())
    speaking(core, 2_000)
    core.finalize(4, 16_000, 10.0)
    core.message(turn("", 1.1), 10.1)
    assert core.take() == []
    core.message(turn("", 1.3), 10.2)
    assert [(final.finalize_id, final.text) for final in core.take()] == [(4, "")]


def test_flux_that_does_not_end_the_turn_is_stuck() -> None:
    core = FluxRecognition(StreamSettings())
    speaking(core, 1_000)
    core.message(turn("one two", 0.9), 10.0)
    core.finalize(4, 16_000, 10.0)
    with pytest.raises(SttError) as caught:
        core.tick(12.5)
    assert caught.value.code == Trouble.STALLED


def test_flux_is_not_told_to_end_a_turn_that_goes_on_after_the_pause() -> None:
    core = FluxRecognition(StreamSettings())
    speaking(core, 1_000)
    core.message(turn("one two", 0.9, TurnSign.EAGER_END), 10.0)
    core.finalize(4, 16_000, 10.0)
    core.speech(20_000, speaking=True, now=10.5)
    for now in (11.7, 12.5):
        core.message(turn("one two three", 2.0), now)
        core.tick(now)
        assert pump(core, now) == []
    core.speech(20_000, speaking=False, now=12.6)
    core.finalize(5, 16_000, 12.6)
    core.tick(14.1)
    assert pump(core, 14.1) == []
    core.tick(14.3)
    assert pump(core, 14.3) == [Signal.END_TURN]


def utterance(text: str, from_s: float, to_s: float, *, final: bool) -> Heard:
    return Heard(words(text, from_s, to_s), from_s, to_s, final)


def test_gladia_answers_with_the_utterances_up_to_the_pause() -> None:
    core = GladiaRecognition(StreamSettings())
    speaking(core, 2_000)
    core.message(utterance("one two", 0.1, 0.8, final=True), 10.0)
    core.message(SpeechNoticed(True), 10.0)
    core.finalize(1, 32_000, 10.0)
    assert not [transcript for transcript in core.take() if transcript.final]
    core.message(SpeechNoticed(False), 10.2)
    core.message(utterance("three", 1.2, 1.9, final=True), 10.3)
    (final,) = [transcript for transcript in core.take() if transcript.final]
    assert (final.finalize_id, final.text) == (1, "one two three")


def test_gladia_without_words_is_over_after_a_second_if_it_has_the_audio() -> None:
    core = GladiaRecognition(StreamSettings())
    speaking(core, 1_000)
    core.finalize(1, 16_000, 10.0)
    core.message(Received(1.0), 10.0)
    core.tick(10.9)
    assert core.take() == []
    core.tick(11.0)
    assert [(final.finalize_id, final.text) for final in core.take()] == [(1, "")]


def test_what_gladia_leaves_open_counts_after_a_while() -> None:
    core = GladiaRecognition(StreamSettings())
    speaking(core, 1_000)
    core.message(utterance("one two", 0.1, 0.9, final=False), 10.0)
    core.finalize(1, 16_000, 10.0)
    core.message(Received(1.0), 10.0)
    core.tick(11.2)
    assert not [transcript for transcript in core.take() if transcript.final]
    core.tick(11.3)
    assert [final.text for final in core.take()] == ["one two"]
    core.message(utterance("one two", 0.1, 0.95, final=True), 11.5)
    core.tick(20.0)
    assert core.take() == []


def test_gladia_that_does_not_take_the_audio_is_stuck() -> None:
    core = GladiaRecognition(StreamSettings())
    speaking(core, 1_000)
    core.finalize(1, 16_000, 10.0)
    core.message(Alive(), 10.0)
    core.tick(10.6)
    with pytest.raises(SttError) as caught:
        core.tick(10.8)
    assert caught.value.code == Trouble.STALLED


def test_a_quiet_connection_that_is_replaced_gets_the_last_half_second() -> None:
    core = GladiaRecognition(StreamSettings())
    core.opened(1.0)
    core.feed(0, bytes(64_000), 1.0)
    pump(core, 1.0)
    core.lost()
    core.feed(32_000, bytes(3_200), 2.0)
    core.opened(2.0)
    audio = pump(core, 2.0)[0]
    assert isinstance(audio, Audio)
    assert audio.first_sample == 24_000
    assert core.lost_samples == 0
