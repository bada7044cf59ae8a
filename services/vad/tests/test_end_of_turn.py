from __future__ import annotations

from natter_vad.detector import Detection, DetectorEvent
from natter_vad.end_of_turn import EndOfTurn, Estimate, Question


def at(event: DetectorEvent, sample: int) -> Detection:
    return Detection(event, sample, sample + 800, 0.0)


def spoken(ends: EndOfTurn, start: int = 16_000, end: int = 48_000) -> None:
    ends.detected(at(DetectorEvent.ONSET, start))
    ends.detected(at(DetectorEvent.SPEECH, start))
    ends.detected(at(DetectorEvent.DIP, end))


def test_a_quiet_is_asked_about_once_after_80_ms() -> None:
    ends = EndOfTurn("model")
    spoken(ends)
    assert ends.received(48_000 + 1_279) is None
    assert ends.received(48_000 + 1_440) == Question(8_000, 48_000, 49_440)
    assert ends.received(48_000 + 3_200) is None
    assert ends.probability == 0.0


def test_an_answer_counts_while_its_quiet_lasts() -> None:
    ends = EndOfTurn("model")
    spoken(ends)
    question = ends.received(50_000)
    assert isinstance(question, Question)
    assert ends.answered(question, 0.7) == Estimate(48_000, 50_000, 0.7)
    ends.detected(at(DetectorEvent.PAUSE, 48_000))
    assert ends.probability == 0.7
    ends.detected(at(DetectorEvent.RESUME, 60_000))
    assert ends.probability == 0.0
    assert ends.answered(question, 0.9) is None
    assert ends.received(70_000) is None


def test_a_dip_inside_a_word_asks_nothing() -> None:
    ends = EndOfTurn("model")
    spoken(ends)
    assert ends.received(48_960) is None
    ends.detected(at(DetectorEvent.GOES_ON, 49_000))
    assert ends.received(50_000) is None
    ends.detected(at(DetectorEvent.DIP, 60_000))
    assert ends.received(61_280) == Question(8_000, 60_000, 61_280)


def test_a_turn_begins_at_its_onset_and_not_where_it_resumes() -> None:
    ends = EndOfTurn("model")
    spoken(ends, 4_000, 30_000)
    ends.detected(at(DetectorEvent.PAUSE, 30_000))
    ends.detected(at(DetectorEvent.RESUME, 40_000))
    ends.detected(at(DetectorEvent.DIP, 60_000))
    question = ends.received(62_000)
    assert isinstance(question, Question)
    assert question.from_sample == 0
    ends.detected(at(DetectorEvent.FALSE_ONSET, 60_000))
    spoken(ends, 200_000, 230_000)
    question = ends.received(232_000)
    assert isinstance(question, Question)
    assert question.from_sample == 192_000


def test_the_model_is_given_200_ms_of_quiet_at_most() -> None:
    ends = EndOfTurn("model")
    spoken(ends)
    assert ends.received(90_000) == Question(8_000, 48_000, 51_200)


def test_without_the_model_silence_alone_says_it() -> None:
    ends = EndOfTurn("silence")
    spoken(ends)
    assert ends.received(48_000 + 9_599) is None
    assert ends.received(48_000 + 9_600) == Estimate(48_000, 57_600, 1.0)
    assert ends.received(70_000) is None
    assert ends.probability == 1.0
