"""A conductor's journal replays to the same decisions, and has what was heard and what tools did."""

from typing import Any

import pytest

from natter_gateway.conductor.conductor import turn_settings
from natter_gateway.conductor.page import Page
from natter_gateway.conductor.resumption import go_on
from natter_gateway.journal.notes import HeardSoFar, Note, Opened, SegmentBegun, TurnAnswered, WordsSoFar
from natter_gateway.journal.recording import Entry, Recording
from natter_gateway.journal.recovery import AnswerAgain, Apologize, Owed, Recovered, SayAgain
from natter_gateway.journal.replay import replay
from natter_gateway.journal.seal import new_key
from natter_gateway.journal.snapshot import Snapshot
from natter_gateway.turns import actions as act
from natter_gateway.turns.events import Modality
from natter_gateway.turns.machine import VERSION
from natter_proto import Header, Speech, SpeechEvent, Transcript, Word


class Kept:
    """Collects what a conductor says, as the journal does."""

    def __init__(self, stages: Any) -> None:
        self.contents: list[tuple[int, Any]] = []
        self.borders = 0
        stages.conductor.on_step = self._step
        stages.conductor.on_note = self._note
        stages.conductor.on_turn_border = self._border
        settings = turn_settings(stages.conductor._bot)
        self._note(Opened("b", "gw", 1, 0, "text", 1, VERSION, settings))

    def _step(self, event: Any, actions: list[act.Action], now_ms: float) -> None:
        at_us = round(now_ms * 1000)
        assert at_us / 1000 == now_ms, "a time that the journal can't keep"
        self.contents += [(at_us, event), *((at_us, action) for action in actions)]

    def _note(self, note: Note) -> None:
        self.contents.append((0, note))

    def _border(self) -> None:
        self.borders += 1

    def of(self, kind: type) -> list[Any]:
        return [content for _, content in self.contents if isinstance(content, kind)]

    @property
    def recording(self) -> Recording:
        entries = [Entry(number, at_us, 0, content) for number, (at_us, content) in enumerate(self.contents, 1)]
        return Recording("abc", tuple(entries))


async def test_words_are_kept_before_their_turn_is_over(new_stages: Any) -> None:
    stages = new_stages()
    kept = Kept(stages)
    stages.conductor.typed("By the way,", Modality.VOICE, run_immediately=False)
    base = Header(session="abc", term=1, epoch=1)
    for event in (SpeechEvent.SPEECH_EVENT_ONSET, SpeechEvent.SPEECH_EVENT_SPEECH):
        stages.conductor.on_speech(Speech(header=base, event=event, sample=0))
    stages.conductor.on_transcript(Transcript(header=base, words=[Word(text="how"), Word(text="are")]))
    assert stages.conductor.unfinished == "By the way, how are"
    await stages.speak("how are you")
    assert stages.conductor.unfinished == ""
    assert [note.text for note in kept.of(WordsSoFar)] == ["By the way,", "By the way, how are", ""]


@pytest.mark.parametrize(
    ("owed", "words", "said"),
    [
        (None, "", None),
        (None, "what time", ("user", "what time")),
        (AnswerAgain("How are you?"), "", ("user", "How are you?")),
        (AnswerAgain("How are you?"), "I am fine", ("user", "How are you? I am fine")),
        (SayAgain("Hello."), "", ("bot", "Hello.")),
        (SayAgain("Hello."), "hi", ("user", "hi")),
        (Apologize(), "", ("bot", "Sorry, we were cut off. Please ask me again.")),
    ],
)
async def test_what_a_dead_conductor_owed_is_given(
    new_stages: Any, owed: Owed | None, words: str, said: tuple[str, str] | None
) -> None:
    stages = new_stages()
    kept = Kept(stages)
    told: list[str] = []
    snapshot = Snapshot("abc", "00", "gw", 2, "b", {}, 1, new_key(), words=words)
    go_on(Recovered(snapshot, owed, cut_off=True), stages.conductor, Page(told.append))
    assert sum("bot-interrupted" in text for text in told) == 1
    found = [("user", each.text) for each in kept.of(act.CommitUser)]
    found += [("bot", each.text) for each in kept.of(act.StartVerbatim)]
    assert found == ([] if said is None else [said])


async def test_a_call_is_replayed(new_stages: Any) -> None:
    stages = new_stages(greeting="Hi there.", turn={"end_of_turn_silence_ms": 200})
    kept = Kept(stages)
    stages.conductor.greet()
    stages.segment_voice(1, "Hi there.")
    stages.play(2_000)
    await stages.speak("how are you")
    stages.segment(1, "Very well, and you?")
    stages.end_reply(1)
    stages.play(600)
    stages.interrupt()
    assert kept.of(act.EndAttempt)[-1].outcome is act.Outcome.INTERRUPTED
    assert kept.borders >= 3
    done = replay(kept.recording)
    assert done.difference is None
    assert done.decisions > 10


async def test_what_was_heard_is_in_it(new_stages: Any) -> None:
    stages = new_stages(greeting="Hi there.")
    kept = Kept(stages)
    stages.conductor.greet()
    stages.segment_voice(1, "Hi there.")
    stages.play(2_000)
    assert kept.of(SegmentBegun) == [SegmentBegun((1, 1), 1, "Hi there.")]
    heard = kept.of(HeardSoFar)
    assert heard[0] == HeardSoFar((1, 1), 1, "Hi")
    assert heard[-1] == HeardSoFar((1, 1), 1, "Hi there.")
    assert stages.conductor.next_segment_id == 2
    assert kept.of(TurnAnswered) == []


async def test_words_from_the_page_are_a_border(new_stages: Any) -> None:
    stages = new_stages()
    kept = Kept(stages)
    stages.conductor.add_to_context("I said so.")
    assert [entry.text for entry in stages.conductor.context.utterances] == ["I said so."]
    assert kept.borders == 1
