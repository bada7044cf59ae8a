"""Verdicts on recordings that were made up: sent levels, received packets, messages and what NATS carried."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from natter_bench.opus import Encoder, Pcm
from natter_bench.recording import FRAME_SAMPLES, VOICE_HZ, Message, ReceivedPacket, Recording, SentFrame
from natter_bench.speech import say
from natter_bench.talk.cases import Case, Echo, chosen
from natter_bench.talk.judge import judge
from natter_bench.talk.observer import Asked, Detected, Observed, VoicedSegment, VoicedWord
from natter_bench.talk.player import Played

FRAME_S = 0.02
TEXT = "Today we look at the fishing boats then we walk along the harbour wall"
WORDS = TEXT.split()

PLAIN, PAUSE = chosen(None, "plain-01")[0], chosen(None, "pause-01")[0]
SMALL, CUT = chosen(None, "backchannel-04")[0], chosen(None, "cut-01")[0]


@pytest.fixture(scope="module")
def reply() -> Pcm:
    return say(TEXT).at(VOICE_HZ).pcm


def sent(seconds: float, *speech: tuple[float, float]) -> list[SentFrame]:
    """Silence with speech from–to, in seconds."""
    times = [number * FRAME_S for number in range(round(seconds / FRAME_S))]
    return [SentFrame(t, -20.0 if any(a - 1e-6 <= t < b - 1e-6 for a, b in speech) else -120.0) for t in times]


def received(seconds: float, *sounds: tuple[float, Pcm]) -> list[ReceivedPacket]:
    """Packets of a voice that begins at given times."""
    pcm = np.zeros(round(seconds * VOICE_HZ) // FRAME_SAMPLES * FRAME_SAMPLES, dtype=np.int16)
    for at_s, sound in sounds:
        at = round(at_s * VOICE_HZ)
        pcm[at : at + len(sound)] = sound[: len(pcm) - at]
    encoder = Encoder(VOICE_HZ)
    return [
        ReceivedPacket(n * FRAME_S, n, n * 960, encoder.encode(pcm[n * FRAME_SAMPLES : (n + 1) * FRAME_SAMPLES]))
        for n in range(len(pcm) // FRAME_SAMPLES)
    ]


def segment(pcm: Pcm, key: tuple[int, int] = (1, 1)) -> VoicedSegment:
    step = len(pcm) // len(WORDS)
    words = tuple(VoicedWord(word, n * step, (n + 1) * step) for n, word in enumerate(WORDS))
    return VoicedSegment(key, 1, pcm, words)


def progress(time_s: float, words: int) -> Message:
    text = " ".join(WORDS[:words])
    data: dict[str, Any] = {"segment_id": 1, "spoken_progress": {"accumulated_text": text}}
    return Message(time_s, "bot-output", data)


def metrics(time_s: float, total_ms: float) -> Message:
    return Message(time_s, "metrics", {"natter": {"turn": 1, "latency": {"total_ms": total_ms, "contributions": []}}})


def greeted(observed: Observed, pcm: Pcm) -> None:
    observed.asked.append(Asked(0.0, (1, 1), TEXT, verbatim=True, heard_before=""))
    observed.committed[1, 1] = 0.0
    observed.segments = [segment(pcm)]


def turn_of(observed: Observed, time_s: float, text: str, key: tuple[int, int] = (2, 1), heard: str = "") -> None:
    observed.asked.append(Asked(time_s, key, text, verbatim=False, heard_before=heard))
    observed.committed[key] = time_s


def played(
    case: Case,
    spoke: Iterable[tuple[float, float]],
    sounds: Sequence[tuple[float, Pcm]],
    *,
    seconds: float = 9.0,
    began_s: float = 0.5,
) -> Played:
    recording = Recording(sent=sent(seconds, *spoke), packets=received(seconds, *sounds))
    return Played(case, began_s=began_s, ended_s=seconds, recording=recording)


def test_an_answer_in_time(reply: Pcm) -> None:
    one = played(PLAIN, [(1.0, 2.5)], [(3.1, reply)])
    turn_of(one.observed, 2.8, PLAIN.text)
    one.recording.messages.append(metrics(3.2, 590.0))
    one.observed.detected.append(Detected(2.7, "pause", 2560.0, 0.9))
    got = judge(one)
    assert got.ok is True
    assert got.cut_off is False
    assert got.decided_early is False
    assert got.voice_to_voice_ms == pytest.approx(620, abs=45)
    assert got.gateway_ms == 590.0
    assert got.vad_late_ms == pytest.approx(60.0)
    assert got.understood == PLAIN.text


def test_an_answer_inside_a_pause_is_a_cut_off(reply: Pcm) -> None:
    one = played(PAUSE, [(1.0, 2.0), (3.0, 4.0)], [(2.6, reply[: VOICE_HZ // 2]), (4.7, reply)])
    turn_of(one.observed, 2.3, "first")
    turn_of(one.observed, 4.3, "second", (3, 1))
    got = judge(one)
    assert got.ok is False
    assert got.cut_off is True
    assert got.decided_early is True
    assert got.turns == 2
    assert got.voice_to_voice_ms is None


def test_a_turn_that_was_reopened_is_one_turn(reply: Pcm) -> None:
    one = played(PAUSE, [(1.0, 2.0), (2.6, 4.0)], [(4.6, reply)])
    turn_of(one.observed, 2.3, "I would like to book")
    turn_of(one.observed, 4.3, PAUSE.text, (2, 2))
    got = judge(one)
    assert got.ok is True
    assert got.turns == 1
    assert got.understood == PAUSE.text
    assert got.decided_early is True


def test_no_answer_is_missed() -> None:
    got = judge(played(PLAIN, [(1.0, 2.5)], []))
    assert got.ok is False
    assert got.missed is True
    assert got.why == "not answered"


def small_sound(sounds: Sequence[tuple[float, Pcm]], reply: Pcm) -> Played:
    one = played(SMALL, [(3.0, 3.4)], sounds, began_s=2.9)
    greeted(one.observed, reply)
    one.observed.detected.append(Detected(3.1, "onset", 3000.0, 0.9))
    one.observed.held += [(1.0, False), (3.14, True), (4.1, False)]
    return one


def test_a_hold_that_goes_on_loses_nothing(reply: Pcm) -> None:
    at = VOICE_HZ * 2
    again = reply[at - 4000 :]
    one = small_sound([(1.2, reply[:at]), (4.2, again)], reply)
    got = judge(one)
    assert got.resumed is True
    assert got.holds == 1
    assert got.held_after_sound_ms == pytest.approx(140)
    assert got.held_after_onset_ms == pytest.approx(40)
    assert got.words_lost is not None
    assert got.words_lost <= 1


def test_a_hold_that_never_goes_on(reply: Pcm) -> None:
    got = judge(small_sound([(1.2, reply[: VOICE_HZ * 2])], reply))
    assert got.resumed is False
    assert "never heard" in got.why


def test_a_small_sound_that_became_a_turn(reply: Pcm) -> None:
    one = small_sound([(1.2, reply[: VOICE_HZ * 2])], reply)
    turn_of(one.observed, 3.9, "yeah")
    assert judge(one).why == "took it for a turn: 'yeah'"


def interrupted(reply: Pcm, told: int, heard_s: float = 2.0) -> Played:
    one = played(CUT, [(3.0, 3.8)], [(1.2, reply[: round(heard_s * VOICE_HZ)]), (4.6, reply[::-1].copy())], began_s=2.9)
    greeted(one.observed, reply)
    one.observed.held += [(1.2, False), (3.1, True)]
    one.recording.messages += [Message(1.2, "bot-started-speaking", None), progress(2.0, 3), progress(3.2, told)]
    one.recording.messages += [Message(4.6, "bot-started-speaking", None), progress(4.9, len(WORDS))]
    turn_of(one.observed, 4.0, CUT.text, heard=" ".join(WORDS[:told]))
    return one


def words_in(reply: Pcm, seconds: float) -> int:
    return sum((word.from_sample + word.to_sample) / 2 < seconds * VOICE_HZ for word in segment(reply).words)


def test_an_interruption_and_what_was_heard(reply: Pcm) -> None:
    got = judge(interrupted(reply, told=words_in(reply, 2.0)))
    assert got.ok is True
    assert got.time_to_silence_ms == pytest.approx(200, abs=60)
    assert got.heard_words == pytest.approx(words_in(reply, 2.0), abs=1)
    assert got.heard_text_right is True
    assert got.kept_text_right is True
    assert got.voice_to_voice_ms == pytest.approx(800, abs=100)


def test_heard_text_that_is_wrong(reply: Pcm) -> None:
    got = judge(interrupted(reply, told=words_in(reply, 2.0) + 4))
    assert got.ok is False
    assert got.heard_text_right is False
    assert got.kept_text_right is False


def test_a_reply_that_goes_on(reply: Pcm) -> None:
    one = interrupted(reply, told=5)
    one.recording.packets = received(9.0, (1.2, np.concatenate([reply, reply])))
    got = judge(one)
    assert got.ok is False
    assert got.why == "went on for 4900 ms"


def test_echo(reply: Pcm) -> None:
    case = replace(chosen(None, "echo-01")[0], echo=Echo())
    one = played(case, [], [(1.2, reply)], began_s=1.2)
    greeted(one.observed, reply)
    assert judge(one).ok is True
    one.observed.held += [(2.0, True), (2.5, False)]
    assert judge(one).why == "held 1 times by its own voice"
    one.recording.messages.append(Message(2.5, "bot-interrupted", None))
    assert judge(one).resumed is False


def test_what_could_not_be_played_is_no_failure() -> None:
    assert judge(Played(CUT, not_played="there was no reply to speak into")).ok is None
