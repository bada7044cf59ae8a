"""What recognition owes, and until when."""

from typing import Any

import pytest

from natter_gateway.conductor.hearing_side import HearingSide
from natter_gateway.conductor.trouble import TroubleBook
from natter_gateway.leases.board import HeldLease
from natter_gateway.turns.machine import TurnMachine
from natter_gateway.turns.settings import TurnSettings
from natter_proto import Header, Speech, SpeechEvent, Stage, Transcript, Word


class Frames:
    """Stands for the writer of frames."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, int]] = []

    def finalize(self, finalize_id: int, through_sample: int) -> None:
        self.asked.append((finalize_id, through_sample))


def hearing(frames: Any) -> HearingSide:
    return HearingSide(TurnMachine(TurnSettings()), frames, None, TroubleBook())  # type: ignore[arg-type]


@pytest.mark.parametrize(("decides_turns", "due_ms"), [(True, None), (False, 1_800.0)])
def test_a_caller_who_goes_on_is_waited_for_by_who_decides_about_turns(decides_turns: bool, due_ms: float) -> None:
    side = hearing(Frames())
    lease = HeldLease("abc", Stage.STAGE_STT, 1, 1, "w", "p", "x", decides_turns=decides_turns, final_within_ms=800)
    side.ask_final(1, 16_000, lease, 1_000.0)
    assert side.due_ms == 1_800.0
    side.on_speech(Speech(event=SpeechEvent.SPEECH_EVENT_RESUME, sample=20_000, through_sample=21_000))
    assert side.due_ms == due_ms


def test_words_that_are_told_without_confidence_are_not_trusted() -> None:
    side = hearing(Frames())
    words = [Word(text="stop", confidence=0.9), Word(text="it")]
    for count, trusted in ((1, True), (2, False)):
        event = side.on_transcript(Transcript(header=Header(), words=words[:count]), 0.0)
        assert (event.text, event.trusted) == (" ".join(word.text for word in words[:count]), trusted)  # type: ignore[union-attr]
