import itertools
from dataclasses import dataclass

import numpy as np
import pytest

from natter_bench.measure import (
    as_heard,
    end_of_speech,
    first_sample,
    gaps,
    holes,
    interruption,
    p50,
    p95,
    start_of_speech,
    turn,
)
from natter_bench.opus import Decoder, Encoder
from natter_bench.recording import FRAME_SAMPLES, ReceivedFrame


@dataclass(frozen=True)
class Frame:
    time_s: float
    dbfs: float


def frames(*spans, until=10.0):
    """20 ms frames on a clock from 0: loud within the spans (from, to), silent elsewhere."""
    times = [n * 0.02 for n in range(round(until / 0.02))]
    return [Frame(t, -20.0 if any(a - 1e-9 <= t < b - 1e-9 for a, b in spans) else -90.0) for t in times]


def test_speech_is_bounded_by_its_audible_frames():
    sent = frames((1.0, 2.0), (5.0, 6.0))
    assert start_of_speech(sent) == pytest.approx(1.0)
    assert end_of_speech(sent, before_s=4) == pytest.approx(1.98)
    assert end_of_speech(sent) == pytest.approx(5.98)
    assert first_sample(sent, after_s=2.5) == pytest.approx(5.0)
    assert end_of_speech(frames()) is None


def test_minus_45_itself_is_not_audible():
    assert end_of_speech([Frame(1, -45.0)]) is None
    assert end_of_speech([Frame(1, -44.9)]) == 1


def test_voice_to_voice_is_from_last_sent_to_first_received():
    measured = turn(frames((1, 2)), frames((2.7, 4)), after_s=0)
    assert measured.voice_to_voice_ms == pytest.approx(720)
    assert not measured.missed
    assert not measured.talked_over


def test_a_reply_after_five_seconds_is_a_missed_turn():
    assert turn(frames((1, 2)), frames((7.1, 8)), after_s=0).missed
    assert not turn(frames((1, 2)), frames((6.9, 8)), after_s=0).missed


def test_a_bot_that_talks_over_its_caller_has_no_voice_to_voice():
    measured = turn(frames((1, 3)), frames((2, 4)), after_s=0)
    assert measured.talked_over
    assert measured.voice_to_voice_ms is None


def test_a_turn_knows_its_window():
    sent, received = frames((1, 2), (5, 6)), frames((2.5, 3.5), (6.3, 7))
    assert turn(sent, received, after_s=4, before_s=9).voice_to_voice_ms == pytest.approx(320)
    assert turn(sent, received, after_s=8, before_s=9) is None


def test_time_to_silence_is_from_onset_to_last_audible():
    heard = interruption(frames((3, 4)), frames((1, 3.22), (4.8, 6)), after_s=0)
    assert heard.silenced
    assert heard.time_to_silence_ms == pytest.approx(200)


def test_pauses_of_the_interrupted_reply_do_not_end_it():
    heard = interruption(frames((3, 4)), frames((1, 3.1), (3.4, 3.5)), after_s=0)
    assert heard.time_to_silence_ms == pytest.approx(480)


def test_a_reply_that_goes_on_is_not_silenced():
    heard = interruption(frames((3, 4)), frames((1, 10)), after_s=0)
    assert not heard.silenced
    assert heard.time_to_silence_ms is None


def test_nothing_to_interrupt():
    heard = interruption(frames((3, 4)), frames((5, 6)), after_s=0)
    assert heard.last_audible_s is None
    assert heard.time_to_silence_ms is None


def test_percentiles():
    assert p50([3, 1, 2]) == 2
    assert p95([100.0] * 19 + [200.0]) == pytest.approx(105)
    assert p50([]) is None


# -- holes: real waveforms through a real codec

RATE = 24_000


def through_opus(pcm):
    encoder, decoder = Encoder(RATE), Decoder(RATE)
    count = len(pcm) // FRAME_SAMPLES
    return [decoder.decode(encoder.encode(pcm[n * FRAME_SAMPLES : (n + 1) * FRAME_SAMPLES])) for n in range(count)]


def received(pcm, *, late_s=None):
    """As a call would record it; `late_s` maps frame numbers to a delay that holds from there on."""
    found, late = [], 0.0
    for number, part in enumerate(through_opus(pcm)):
        late = (late_s or {}).get(number, late)
        level = 20 * np.log10(max(1.0, float(np.sqrt(np.mean(part.astype(float) ** 2)))) / 32768)
        found.append(ReceivedFrame(100 + number * 0.02 + late, level, number * FRAME_SAMPLES, "packet", part))
    return found


def silence(ms):
    return np.zeros(ms * RATE // 1000, dtype=np.int16)


@pytest.fixture
def voice(voice_like):
    return voice_like(2.0, RATE, seed=3)


def found_holes(voice, heard):
    result = holes([voice], as_heard(received(np.concatenate([silence(500), heard, silence(500)]))))
    assert not result.unheard
    return [(hole.kind, round(hole.length_ms, -1)) for hole in result.holes], result


def test_what_came_through_whole_has_no_holes(voice):
    found, result = found_holes(voice, voice)
    assert found == []
    assert result.cut == {}


@pytest.mark.parametrize("ms", [80, 100, 300])
def test_silence_in_place_of_audio_is_a_hole(voice, ms):
    at = RATE
    found, result = found_holes(voice, np.concatenate([voice[:at], silence(ms), voice[at + len(silence(ms)) :]]))
    assert found == [("missing", ms)]
    assert result.holes[0].at_ms == pytest.approx(1000, abs=20)


@pytest.mark.parametrize("ms", [20, 40])
def test_up_to_60_ms_are_none(voice, ms):
    at = RATE
    assert found_holes(voice, np.concatenate([voice[:at], silence(ms), voice[at + len(silence(ms)) :]]))[0] == []
    assert found_holes(voice, np.concatenate([voice[:at], silence(ms), voice[at:]]))[0] == []


def test_silence_put_between_is_a_hole(voice):
    assert found_holes(voice, np.concatenate([voice[:RATE], silence(200), voice[RATE:]]))[0] == [("delayed", 200)]


def test_audio_left_out_is_a_hole(voice):
    _, result = found_holes(voice, np.concatenate([voice[:RATE], voice[RATE + len(silence(200)) :]]))
    (hole,) = result.holes
    assert hole.kind == "missing"
    assert hole.length_ms == pytest.approx(200, abs=20)


def test_pauses_of_the_voice_are_none(voice):
    paused = np.concatenate([voice[:RATE], silence(250), voice[RATE:]])
    result = holes([paused], as_heard(received(paused)))
    assert result.holes == []


def test_a_segment_that_ends_early_is_cut_and_has_no_hole(voice):
    found, result = found_holes(voice, voice[:RATE])
    assert found == []
    assert result.cut[0] == pytest.approx(1000, abs=60)


def test_late_packets_are_a_hole_for_whoever_listens(voice):
    heard = as_heard(received(np.concatenate([silence(500), voice]), late_s={75: 0.15}))
    result = holes([voice], heard)
    assert [(hole.kind, round(hole.length_ms, -1)) for hole in result.holes] == [("delayed", 150)]


def test_jitter_is_none(voice):
    jitter = dict(zip(itertools.count(), np.random.default_rng(1).uniform(0, 0.03, 150), strict=False))
    assert holes([voice], as_heard(received(voice, late_s=jitter))).holes == []


def test_segments_are_found_in_order_and_the_unheard_named(voice_like):
    first, second, third = (voice_like(1.0, RATE, seed=seed) for seed in (11, 12, 13))
    sound = as_heard(received(np.concatenate([silence(300), first, silence(250), third, silence(300)])))
    result = holes([first, second, third], sound)
    assert result.unheard == [1]
    assert result.holes == []
    assert result.alignments[0].end_sample <= result.alignments[2].start_sample


def test_noise_is_not_found(voice):
    noise = np.random.default_rng(5).normal(0, 3000, 2 * RATE).astype(np.int16)
    assert holes([voice], as_heard(received(noise))).unheard == [0]


# -- gaps: by ear alone


def heard_frames(levels, *, source=None, late_s=None):
    late, found = 0.0, []
    for number, level in enumerate(levels):
        late = (late_s or {}).get(number, late)
        kind = (source or {}).get(number, "packet")
        found.append(
            ReceivedFrame(number * 0.02 + late, level, number * FRAME_SAMPLES, kind, np.zeros(0, dtype=np.int16))
        )
    return found


def test_an_abrupt_silence_looks_like_a_hole():
    (gap,) = gaps(heard_frames([-20] * 10 + [-120] * 5 + [-20] * 10))
    assert (gap.kind, gap.abrupt, gap.looks_like_hole) == ("silence", True, True)
    assert gap.length_ms == pytest.approx(100)


def test_a_pause_that_fades_does_not():
    (gap,) = gaps(heard_frames([-20] * 10 + [-40, -55] + [-120] * 5 + [-60, -40] + [-20] * 10))
    assert not gap.looks_like_hole


def test_a_stall_is_a_gap_whatever_was_heard():
    (gap,) = gaps(heard_frames([-20] * 20, late_s={10: 0.2}))
    assert (gap.kind, round(gap.length_ms)) == ("stall", 200)


def test_lost_frames_are_a_gap_beyond_60_ms():
    lost = dict.fromkeys(range(10, 15), "lost")
    (gap,) = gaps(heard_frames([-20] * 10 + [-120] * 5 + [-20] * 10, source=lost))
    assert gap.kind == "lost"
    assert gaps(heard_frames([-20] * 10 + [-60] * 2 + [-20] * 10, source={10: "plc", 11: "plc"})) == []


def test_quiet_between_replies_is_no_gap():
    assert gaps(heard_frames([-20] * 10 + [-120] * 50 + [-20] * 10)) == []
