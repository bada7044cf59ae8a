"""A conductor's journal replays to the same decisions, and has what was heard and what tools did."""

from typing import Any

from natter_gateway.conductor.conductor import turn_settings
from natter_gateway.journal.notes import HeardSoFar, Note, Opened, SegmentBegun, TurnAnswered
from natter_gateway.journal.recording import Entry, Recording
from natter_gateway.journal.replay import replay
from natter_gateway.turns import actions as act
from natter_gateway.turns.machine import VERSION


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
