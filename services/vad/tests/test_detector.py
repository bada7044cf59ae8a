from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from natter_vad.detector import FADE_SAMPLES, Detection, Detector, DetectorEvent, DetectorSettings
from natter_vad.silero import WINDOW_SAMPLES

ONSET, SPEECH, PAUSE, RESUME = (
    DetectorEvent.ONSET,
    DetectorEvent.SPEECH,
    DetectorEvent.PAUSE,
    DetectorEvent.RESUME,
)
FALSE_ONSET, DIP, GOES_ON = DetectorEvent.FALSE_ONSET, DetectorEvent.DIP, DetectorEvent.GOES_ON


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
        Detection(DIP, end, end + 2 * 512, 0.0),
        Detection(PAUSE, end, end + 7 * 512, 0.0),
    ]
    assert not detector.speaking


def test_one_window_is_no_onset() -> None:
    detector = Detector()
    assert play(detector, [0.9, 0.1] * 20) == []


def test_a_voice_that_sinks_still_speaks() -> None:
    detector = Detector()
    found = play(detector, [0.9] * 10 + [0.4] * 20)
    assert kinds(found) == [ONSET, SPEECH]
    assert kinds(play(detector, [0.3] * 10)) == [DIP, PAUSE]


def test_a_short_sound_is_a_false_onset_and_nothing_resumes_after_it() -> None:
    detector = Detector()
    assert kinds(play(detector, [0.9] * 3 + [0.0] * 10 + [0.9] * 3)) == [
        ONSET,
        DIP,
        FALSE_ONSET,
        ONSET,
    ]


def test_a_false_onset_between_does_not_hide_that_speech_resumes() -> None:
    detector = Detector()
    found = play(detector, [0.9] * 10 + [0.0] * 8 + [0.9] * 3 + [0.0] * 8 + [0.9] * 10)
    assert kinds(found) == [ONSET, SPEECH, DIP, PAUSE, RESUME, DIP, FALSE_ONSET, RESUME, SPEECH]


def test_speech_after_a_pause_resumes_and_after_a_long_one_begins() -> None:
    detector = Detector()
    found = play(detector, [0.9] * 10 + [0.0] * 10 + [0.9] * 10 + [0.0] * 80 + [0.9] * 10)
    assert kinds(found) == [ONSET, SPEECH, DIP, PAUSE, RESUME, SPEECH, DIP, PAUSE, ONSET, SPEECH]
    assert found[4].sample == 20 * 512


def test_a_pause_is_met_to_the_frame() -> None:
    detector = Detector()
    play(detector, [0.9] * 10 + [0.0] * 6)  # 192 ms of quiet
    end = 10 * 512
    assert detector.received(end + 3_199) == []
    assert detector.received(end + 3_200) == [Detection(PAUSE, end, end + 3_200, 0.0)]
    assert detector.received(end + 3_400) == []


def test_received_alone_never_pauses_what_no_window_called_quiet() -> None:
    detector = Detector(DetectorSettings(min_silence_duration_ms=50))
    play(detector, [0.9] * 10)
    assert detector.received(10 * 512 + 511) == []


def test_a_gap_and_a_mute_end_open_speech() -> None:
    detector = Detector()
    play(detector, [0.9] * 10)
    assert detector.quiet(5_632) == []
    assert detector.quiet(160_000) == [Detection(DIP, 5_120, 160_000, 0.0), Detection(PAUSE, 5_120, 160_000, 0.0)]
    play(detector, [0.9] * 10, start=200_192)
    assert kinds(detector.stalled()) == [DIP, PAUSE]
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


def test_a_dip_is_met_to_the_frame_and_comes_once() -> None:
    detector = Detector()
    play(detector, [0.9] * 10 + [0.0])
    end = 10 * 512
    assert detector.received(end + 799) == []
    assert detector.received(end + 800) == [Detection(DIP, end, end + 800, 0.0)]
    assert detector.received(end + 1_000) == []
    assert kinds(play(detector, [0.0] * 6)) == [PAUSE]


def test_speech_that_goes_on_after_a_dip_says_where() -> None:
    detector = Detector()
    found = play(detector, [0.9] * 10 + [0.0] * 3 + [0.8] * 2 + [0.0] * 7)
    assert kinds(found) == [ONSET, SPEECH, DIP, GOES_ON, DIP, PAUSE]
    assert found[3] == Detection(GOES_ON, 13 * 512, 14 * 512, 0.8)
    assert found[4].sample == found[5].sample == 15 * 512


def test_too_short_a_sound_dips_too() -> None:
    detector = Detector()
    found = play(detector, [0.9] * 3 + [0.0] * 10)
    assert kinds(found) == [ONSET, DIP, FALSE_ONSET]
    assert found[1].sample == found[2].sample == 3 * 512


def test_loudness_puts_the_end_back_where_the_voice_was() -> None:
    detector = Detector()
    play(detector, [0.9] * 10)
    end = 10 * 512 + 100
    detector.audible(end)
    assert play(detector, [0.9]) == []
    assert detector.received(end + 800) == [Detection(DIP, end, end + 800, 0.0)]
    assert play(detector, [0.9, 0.6]) == []  # the model fades
    found = play(detector, [0.1] * 4)
    assert kinds(found) == [PAUSE]
    assert found[0].sample == end
    assert found[0].decided_at_sample == 17 * 512


def test_no_pause_while_the_model_hears_speech() -> None:
    detector = Detector(DetectorSettings(min_silence_duration_ms=60))
    detector.audible(10 * 512)
    assert kinds(play(detector, [0.9] * 13)) == [ONSET, SPEECH, DIP]
    assert kinds(play(detector, [0.1])) == [PAUSE]


def test_in_noise_the_end_is_put_back_further_and_doubt_ends_speech() -> None:
    detector = Detector()
    end = 10 * 512 - 100
    detector.audible(end, in_noise=True)
    play(detector, [0.9] * 10)
    found = play(detector, [1.0, 0.99, 0.9, 0.6, 0.5, 0.45, 0.4], start=10 * 512)
    assert [(detection.event, detection.sample) for detection in found] == [(DIP, end), (PAUSE, end)]
    # Not while the model was sure, and at 200 ms although it has not come down to 0.35.
    assert [detection.decided_at_sample for detection in found] == [13 * 512, 17 * 512]


def test_in_noise_too_the_model_is_believed_when_it_goes_on() -> None:
    detector = Detector()
    play(detector, [0.9] * 10)
    detector.audible(10 * 512, in_noise=True)
    assert kinds(play(detector, [1.0] * 20, start=10 * 512)) == []
    assert kinds(play(detector, [0.0] * 8, start=30 * 512)) == [DIP, PAUSE]


def test_the_model_is_believed_where_it_hears_more_than_loudness() -> None:
    detector = Detector()
    detector.audible(10 * 512)
    found = play(detector, [0.9] * 20 + [0.1] * 7)
    assert kinds(found) == [ONSET, SPEECH, DIP, GOES_ON, DIP, PAUSE]
    assert found[3].decided_at_sample - 10 * 512 == 5 * 512
    assert found[5].sample == 20 * 512


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("dip_ms", 20),
        ("threshold", 0.0),
        ("threshold", 1.5),
        ("min_silence_duration_ms", 10),
        ("min_speech_duration_ms", -1),
    ],
)
def test_settings_out_of_range_are_refused(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=name):
        DetectorSettings(**{name: value})  # type: ignore[arg-type]


step = st.one_of(
    st.tuples(st.just("window"), st.floats(0, 1)),
    st.tuples(st.just("run"), st.tuples(st.floats(0, 1), st.integers(1, 30))),
    st.tuples(st.just("received"), st.integers(0, 511)),
    st.tuples(st.just("audible"), st.integers(0, 3_000)),
    st.tuples(st.just("quiet"), st.integers(0, 60)),
    st.tuples(st.just("stalled"), st.none()),
)
any_settings = st.builds(
    DetectorSettings,
    threshold=st.floats(0.1, 0.9),
    min_speech_duration_ms=st.integers(0, 1_000),
    min_silence_duration_ms=st.integers(50, 1_000),
    dip_ms=st.integers(32, 400),
)


class Follower:
    """Checks each event against those before and against what was heard."""

    def __init__(self, chosen: DetectorSettings, heard: dict[int, float]) -> None:
        self.chosen = chosen
        self.heard = heard
        self.speaking = self.spoke = False
        self.dip: int | None = None
        self.start = self.decided = 0

    def take(self, detection: Detection, *, stalled: bool) -> None:
        event, sample = detection.event, detection.sample
        assert detection.decided_at_sample >= self.decided
        self.decided = detection.decided_at_sample
        assert sample <= self.decided
        if event in {ONSET, RESUME}:
            assert not self.speaking
            self.speaking, self.spoke, self.start, self.dip = True, False, sample, None
            assert self.heard[sample] >= self.chosen.threshold
            assert self.heard[sample + WINDOW_SAMPLES] >= self.chosen.threshold
            return
        assert self.speaking
        if event is SPEECH:
            assert not self.spoke
            assert sample == self.start
            assert self.decided - sample >= self.chosen.min_speech_duration_ms * 16
            self.spoke = True
        elif event is DIP:
            assert self.dip is None
            assert sample > self.start
            assert stalled or self.decided - sample >= min(self.chosen.dip_ms, self.chosen.min_silence_duration_ms) * 16
            self.dip = sample
        elif event is GOES_ON:
            assert self.dip is not None
            assert sample >= self.dip
            assert self.heard[self.decided - WINDOW_SAMPLES] >= self.chosen.threshold - 0.1501
            self.dip = None
        else:
            assert event is (PAUSE if self.spoke else FALSE_ONSET)
            assert sample == self.dip
            # Whoever puts the end back does so by no more than the model's fading.
            around = [at for at in self.heard if sample - WINDOW_SAMPLES <= at < sample + FADE_SAMPLES]
            assert any(self.heard[at] >= self.chosen.threshold - 0.1501 for at in around)
            assert stalled or self.decided - sample >= self.chosen.min_silence_duration_ms * 16
            self.speaking = False


@settings(deadline=None)
@given(any_settings, st.lists(step, max_size=60))  # type: ignore[arg-type]
def test_events_alternate_and_name_true_samples(chosen: DetectorSettings, steps: list[tuple[str, object]]) -> None:
    detector = Detector(chosen)
    heard: dict[int, float] = {}
    follower = Follower(chosen, heard)
    audible = 0
    for name, value in steps:
        at = detector.judged_through_sample
        if name in {"window", "run"}:
            probability, times = value if isinstance(value, tuple) else (value, 1)
            assert isinstance(probability, float)
            for _ in range(times):
                heard[at] = probability
                for detection in detector.window(at, probability):
                    follower.take(detection, stalled=False)
                at += WINDOW_SAMPLES
            continue
        if name == "stalled":
            for detection in detector.stalled():
                follower.take(detection, stalled=True)
            continue
        assert isinstance(value, int)
        found: list[Detection] = []
        if name == "received":
            found = detector.received(at + value)
        elif name == "quiet":
            found = detector.quiet(at + value * WINDOW_SAMPLES)
        else:
            audible = max(audible, at + value - 1_500)
            detector.audible(audible)
        for detection in found:
            follower.take(detection, stalled=False)
    assert follower.speaking == detector.speaking
