from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from natter_vad.detector import Detection, Detector, DetectorEvent, DetectorSettings
from natter_vad.silero import WINDOW_SAMPLES

ONSET, SPEECH, PAUSE, RESUME = (
    DetectorEvent.ONSET,
    DetectorEvent.SPEECH,
    DetectorEvent.PAUSE,
    DetectorEvent.RESUME,
)
FALSE_ONSET = DetectorEvent.FALSE_ONSET


def play(detector: Detector, probabilities: list[float], start: int | None = None) -> list[Detection]:
    at = detector.judged_through_sample if start is None else start
    found: list[Detection] = []
    for probability in probabilities:
        found += detector.window(at, probability)
        at += WINDOW_SAMPLES
    return found


def kinds(found: list[Detection]) -> list[DetectorEvent]:
    return [detection.event for detection in found]


def test_an_utterance() -> None:
    detector = Detector()
    found = play(detector, [0.1] * 10 + [0.9] * 20 + [0.1] * 10)
    start, end = 10 * 512, 30 * 512
    assert found == [
        Detection(ONSET, start, start + 2 * 512, 0.9),
        Detection(SPEECH, start, start + 8 * 512, 0.9),
        Detection(PAUSE, end, end + 7 * 512, 1.0),
    ]
    assert not detector.speaking


def test_one_window_is_no_onset() -> None:
    detector = Detector()
    assert play(detector, [0.9, 0.1] * 20) == []


def test_a_voice_that_sinks_still_speaks() -> None:
    detector = Detector()
    found = play(detector, [0.9] * 10 + [0.4] * 20)
    assert kinds(found) == [ONSET, SPEECH]
    assert kinds(play(detector, [0.3] * 10)) == [PAUSE]


def test_a_short_sound_is_a_false_onset_and_nothing_resumes_after_it() -> None:
    detector = Detector()
    assert kinds(play(detector, [0.9] * 3 + [0.0] * 10 + [0.9] * 3)) == [ONSET, FALSE_ONSET, ONSET]


def test_a_false_onset_between_does_not_hide_that_speech_resumes() -> None:
    detector = Detector()
    found = play(detector, [0.9] * 10 + [0.0] * 8 + [0.9] * 3 + [0.0] * 8 + [0.9] * 10)
    assert kinds(found) == [ONSET, SPEECH, PAUSE, RESUME, FALSE_ONSET, RESUME, SPEECH]


def test_speech_after_a_pause_resumes_and_after_a_long_one_begins() -> None:
    detector = Detector()
    found = play(detector, [0.9] * 10 + [0.0] * 10 + [0.9] * 10 + [0.0] * 80 + [0.9] * 10)
    assert kinds(found) == [ONSET, SPEECH, PAUSE, RESUME, SPEECH, PAUSE, ONSET, SPEECH]
    assert found[3].sample == 20 * 512


def test_a_pause_is_met_to_the_frame() -> None:
    detector = Detector()
    play(detector, [0.9] * 10 + [0.0] * 6)  # 192 ms of quiet
    end = 10 * 512
    assert detector.received(end + 3_199) == []
    assert detector.received(end + 3_200) == [Detection(PAUSE, end, end + 3_200, 1.0)]
    assert detector.received(end + 3_400) == []


def test_received_alone_never_pauses_what_no_window_called_quiet() -> None:
    detector = Detector(DetectorSettings(min_silence_duration_ms=50))
    play(detector, [0.9] * 10)
    assert detector.received(10 * 512 + 511) == []


def test_a_gap_and_a_mute_end_open_speech() -> None:
    detector = Detector()
    play(detector, [0.9] * 10)
    assert detector.quiet(5_632) == []
    assert detector.quiet(160_000) == [Detection(PAUSE, 5_120, 160_000, 1.0)]
    play(detector, [0.9] * 10, start=200_192)
    assert kinds(detector.stalled()) == [PAUSE]
    assert detector.stalled() == []


def test_a_missing_window_is_quiet() -> None:
    detector = Detector()
    assert detector.window(0, 0.9) == []
    assert detector.window(1_024, 0.9) == []
    assert kinds(detector.window(1_536, 0.9)) == [ONSET]


def test_what_was_judged_is_not_judged_again() -> None:
    detector = Detector()
    detector.window(512, 0.1)
    with pytest.raises(ValueError, match="after 1024"):
        detector.window(512, 0.1)


@pytest.mark.parametrize(
    ("name", "value"),
    [("threshold", 0.0), ("threshold", 1.5), ("min_silence_duration_ms", 10), ("min_speech_duration_ms", -1)],
)
def test_settings_out_of_range_are_refused(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=name):
        DetectorSettings(**{name: value})  # type: ignore[arg-type]


step = st.one_of(
    st.tuples(st.just("window"), st.floats(0, 1)),
    st.tuples(st.just("run"), st.tuples(st.floats(0, 1), st.integers(1, 30))),
    st.tuples(st.just("received"), st.integers(0, 511)),
    st.tuples(st.just("quiet"), st.integers(0, 60)),
    st.tuples(st.just("stalled"), st.none()),
)
any_settings = st.builds(
    DetectorSettings,
    threshold=st.floats(0.1, 0.9),
    min_speech_duration_ms=st.integers(0, 1_000),
    min_silence_duration_ms=st.integers(50, 1_000),
)


@settings(deadline=None)
@given(any_settings, st.lists(step, max_size=60))  # type: ignore[arg-type]
def test_events_alternate_and_name_true_samples(chosen: DetectorSettings, steps: list[tuple[str, object]]) -> None:
    detector = Detector(chosen)
    heard: dict[int, float] = {}
    found: list[tuple[Detection, bool]] = []
    for name, value in steps:
        at = detector.judged_through_sample
        if name in {"window", "run"}:
            probability, times = value if isinstance(value, tuple) else (value, 1)
            assert isinstance(probability, float)
            for _ in range(times):
                heard[at] = probability
                found += [(d, False) for d in detector.window(at, probability)]
                at += WINDOW_SAMPLES
        elif name == "received":
            assert isinstance(value, int)
            found += [(d, False) for d in detector.received(at + value)]
        elif name == "quiet":
            assert isinstance(value, int)
            found += [(d, False) for d in detector.quiet(at + value * WINDOW_SAMPLES)]
        else:
            found += [(d, True) for d in detector.stalled()]
    speaking = spoke = False
    start = decided = 0
    for detection, stalled in found:
        assert detection.decided_at_sample >= decided
        decided = detection.decided_at_sample
        if detection.event in {ONSET, RESUME}:
            assert not speaking
            speaking, spoke, start = True, False, detection.sample
            assert heard[start] >= chosen.threshold
            assert heard[start + WINDOW_SAMPLES] >= chosen.threshold
        elif detection.event is SPEECH:
            assert speaking
            assert not spoke
            assert detection.sample == start
            assert decided - start >= chosen.min_speech_duration_ms * 16
            spoke = True
        else:
            assert speaking
            assert detection.event is (PAUSE if spoke else FALSE_ONSET)
            speaking = False
            assert start < detection.sample <= decided
            last = detection.sample - WINDOW_SAMPLES
            assert heard[last] >= chosen.threshold - 0.1501
            if not stalled:
                assert decided - detection.sample >= chosen.min_silence_duration_ms * 16
    assert speaking == detector.speaking
