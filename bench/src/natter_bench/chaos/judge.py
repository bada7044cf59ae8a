"""What a call with a kill in it came to, against calls without one. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

from natter_bench.latency_script import Utterance
from natter_bench.measure import MISSED_TURN_S, Heard, audible, p50
from natter_bench.words import normalise, word_error_rate
from natter_emulators.marks import WordCount, count_words

_FRAME_MS: Final = 20.0
MOST_WORSE: Final = 0.02
"""Built-in models: by so much the word error rate may exceed the mean of calls without a kill."""


@dataclass(frozen=True, slots=True)
class TurnHeard:
    """One turn as it was heard.

    Attributes:
        wait_ms: from the end of the caller's speech to the bot's voice; None when it never came.
        pause_ms: the longest silence inside the bot's voice.
        hole_ms: the longest silence inside of the voice that its maker did not make.
        words: of the reply, in the order in which they were heard (emulated voices only).
        segments_lost: segments of the reply that were not heard whole (built-in voice only).
        segments_doubled: segments that were heard twice (built-in voice only).
    """

    wait_ms: float | None
    pause_ms: float
    hole_ms: float
    words: tuple[str, ...] = ()
    segments_lost: int = 0
    segments_doubled: int = 0

    @property
    def missed(self) -> bool:
        """No voice within 5 s."""
        return self.wait_ms is None or self.wait_ms > MISSED_TURN_S * 1000


@dataclass(frozen=True, slots=True)
class CallHeard:
    """A call as it was heard.

    Attributes:
        model: all that the caller said, as the model was asked; None where nobody saw what it was asked.
        transcript: the same as the gateway's transcript has it; None when there was none to be had.
        errors: what the caller was told of trouble.
    """

    turns: tuple[TurnHeard, ...]
    model: str | None
    transcript: str | None
    errors: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Usual:
    """Calls without a kill, turn by turn."""

    wait_ms: tuple[float, ...]
    pause_ms: tuple[float, ...]
    word_error_rate: float


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the caller noticed.

    Attributes:
        lost: words of the caller that are missing in what the model was asked, or in the transcript.
        doubled: words that are there twice, or were never said.
        reply_lost: words of the replies that were not heard. On built-in models a segment counts as one.
        reply_doubled: words that were heard twice, or are no part of the reply.
        added_ms: silence beyond the usual, in the turn where it was longest; None when a voice never came.
        hole_ms: the longest break in the bot's voice.
        missed: turns without an answer within 5 s.
        worse: by how much the word error rate exceeds the usual one; None on emulators, where words are counted.
    """

    lost: tuple[str, ...] = ()
    doubled: tuple[str, ...] = ()
    reply_lost: tuple[str, ...] = ()
    reply_doubled: tuple[str, ...] = ()
    added_ms: float | None = 0.0
    hole_ms: float = 0.0
    missed: int = 0
    worse: float | None = None
    errors: tuple[str, ...] = field(default=())

    @property
    def words_whole(self) -> bool:
        """Whether nothing was lost and nothing came twice."""
        wrong = self.lost or self.doubled or self.reply_lost or self.reply_doubled
        return not wrong and (self.worse is None or self.worse <= MOST_WORSE)


def longest_pause_ms(frames: Sequence[Heard]) -> float:
    """The longest silence between two audible frames, by their arrival; 0 where there are fewer than two."""
    times_s = [frame.time_s for frame in frames if audible(frame)]
    return max(((after - before) * 1000 - _FRAME_MS for before, after in pairwise(times_s)), default=0.0)


def usual_of(calls: Sequence[CallHeard], script: Sequence[Utterance]) -> Usual:
    """The median of calls without a kill. Raises ValueError when a turn of them all was missed, or there is none."""
    turns = range(len(script))
    waits = [p50([ms for call in calls if (ms := call.turns[turn].wait_ms) is not None]) for turn in turns]
    if None in waits:
        raise ValueError(f"turn {waits.index(None) + 1} is not answered even when nothing is killed")
    pauses = [p50([call.turns[turn].pause_ms for call in calls]) or 0.0 for turn in turns]
    rates = [_error_rate(call, script) for call in calls]
    return Usual(tuple(ms or 0.0 for ms in waits), tuple(pauses), sum(rates) / len(rates))


def judge(call: CallHeard, script: Sequence[Utterance], usual: Usual) -> Judgement:
    """On emulators, where every word is marked."""
    said = " ".join(one.text for one in script)
    told = [text for text in (call.model, call.transcript) if text is not None]
    counts = [count_words(said, normalise(text)) for text in told]
    # Model and transcript are asked both, and the worse of the two counts.
    worst = max(counts, key=lambda count: len(count.lost) + len(count.doubled), default=count_words(said, []))
    replies = [count_words(one.reply, turn.words) for one, turn in zip(script, call.turns, strict=True)]
    return _judged(call, usual, worst, replies, None)


def judge_built_in(call: CallHeard, script: Sequence[Utterance], usual: Usual) -> Judgement:
    """On built-in models, which mishear: by the rate of errors, and by segments instead of words."""
    replies = [
        WordCount(
            tuple(f"segment of turn {number}" for _ in range(turn.segments_lost)),
            tuple(f"segment of turn {number}" for _ in range(turn.segments_doubled)),
        )
        for number, turn in enumerate(call.turns, 1)
    ]
    worse = _error_rate(call, script) - usual.word_error_rate
    return _judged(call, usual, WordCount((), ()), replies, worse)


def _judged(
    call: CallHeard, usual: Usual, caller: WordCount, replies: Sequence[WordCount], worse: float | None
) -> Judgement:
    return Judgement(
        lost=caller.lost,
        doubled=caller.doubled,
        reply_lost=tuple(word for count in replies for word in count.lost),
        reply_doubled=tuple(word for count in replies for word in count.doubled),
        added_ms=_added_ms(call.turns, usual),
        hole_ms=max(
            (
                max(turn.hole_ms, turn.pause_ms - pause_ms)
                for turn, pause_ms in zip(call.turns, usual.pause_ms, strict=True)
            ),
            default=0.0,
        ),
        missed=sum(turn.missed for turn in call.turns),
        worse=worse,
        errors=call.errors,
    )


def _added_ms(turns: Sequence[TurnHeard], usual: Usual) -> float | None:
    added = 0.0
    for turn, wait_ms, pause_ms in zip(turns, usual.wait_ms, usual.pause_ms, strict=True):
        if turn.wait_ms is None:
            return None
        added = max(added, turn.wait_ms - wait_ms, turn.pause_ms - pause_ms)
    return added


def _error_rate(call: CallHeard, script: Sequence[Utterance]) -> float:
    return word_error_rate(" ".join(one.text for one in script), call.transcript or "")
