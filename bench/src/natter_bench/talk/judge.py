"""What came of a case: pure functions from what was recorded to figures and a verdict.

Terms are those of `natter_bench.measure`. Levels of sent frames are those of the caller's speech alone, so that noise
and echo move no border.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

from natter_bench.measure import (
    Turn,
    as_heard,
    end_of_speech,
    first_sample,
    interruption,
    start_of_speech,
    turn,
)
from natter_bench.opus import FRAME_MS
from natter_bench.recording import ReceivedFrame, Recording
from natter_bench.talk.audible import words_heard
from natter_bench.talk.cases import Case
from natter_bench.talk.observer import Observed
from natter_bench.talk.player import Played, case_is_silent
from natter_bench.transcript import latencies
from natter_bench.words import normalise

WITHIN_WORDS: Final = 1
"""Heard text may differ from the truth by this many words."""
LATENCY_WITHIN_MS: Final = 40.0
"""So much may the gateway's own latency differ from the caller's."""
SLOW_MS: Final = 2000.0
WENT_ON_MS: Final = 600.0
"""A reply that is heard for longer than this was not silenced in time, whatever the reason."""
LATE_SENDING_FRAMES: Final = 3
"""More frames sent late than this: the machine was too busy, and figures are its own."""
_SEEN_LATE_S: Final = 0.1
"""So much later than its first sound a reply may be seen to have begun."""
# A word or two whose place is only spread over the letters may be missed by the comparison, not by the ear.
_WORDS_IN_DOUBT: Final = 1


@dataclass(frozen=True, slots=True)
class Judgement:
    """A case's figures; None where a figure doesn't apply or could not be told."""

    case: Case
    ok: bool | None
    """Whether it went as it should; None: it could not be played."""
    why: str = ""
    """What went wrong, for people."""
    turns: int = 0
    """Turns of the caller that were answered."""
    understood: str = ""
    """What the model was given; a bar between turns."""
    cut_off: bool | None = None
    """The bot spoke before the caller's last word ended."""
    decided_early: bool | None = None
    """A turn was decided on before the caller's last word ended, heard or not."""
    missed: bool | None = None
    voice_to_voice_ms: float | None = None
    gateway_ms: float | None = None
    """The same turn's latency as the gateway told it."""
    contributions: dict[str, float] | None = None
    vad_late_ms: float | None = None
    """Where vad saw the end of the speech, less where it was: both on the microphone's own samples."""
    holds: int = 0
    held_after_sound_ms: float | None = None
    """From the first audible frame that the caller sent."""
    held_after_onset_ms: float | None = None
    """From vad's report."""
    resumed: bool | None = None
    words_lost: int | None = None
    """Of a reply that should be heard whole."""
    lost: str = ""
    """Which words those are."""
    time_to_silence_ms: float | None = None
    heard_words: int | None = None
    """How many words of the interrupted reply were really heard."""
    told_words: int | None = None
    """How many the gateway told the page."""
    kept_words: int | None = None
    """How many the model's context has."""
    sent_late: bool = False

    @property
    def heard_text_right(self) -> bool | None:
        """Whether what the page was told is within one word of the truth."""
        return _close(self.heard_words, self.told_words)

    @property
    def kept_text_right(self) -> bool | None:
        """Whether what the model was told is within one word of the truth."""
        return _close(self.heard_words, self.kept_words)


def judge(played: Played) -> Judgement:
    """Judge one case."""
    if played.not_played:
        if played.case.echo is not None and _ended_reply(played.recording, float("-inf")):
            return Judgement(played.case, ok=False, why="interrupted by its own voice", resumed=False)
        return Judgement(played.case, None, played.not_played)
    frames = played.recording.frames()
    match played.case.kind:
        case "A" | "B":
            return _answered(played, frames)
        case "C":
            return _gone_on(played, frames)
        case "D":
            return _interrupted(played, frames)
        case "E":
            return _interrupted(played, frames) if not case_is_silent(played.case) else _undisturbed(played, frames)


def _answered(played: Played, frames: Sequence[ReceivedFrame]) -> Judgement:
    sent, observed, after_s = played.recording.sent, played.observed, played.began_s
    heard = turn(sent, frames, after_s=after_s)
    if heard is None:
        return Judgement(played.case, None, "nothing was said")
    ms = heard.voice_to_voice_ms
    turns = observed.turns(after_s=after_s)
    gateway_ms, contributions = _latency(played.recording, observed, after_s)
    return Judgement(
        played.case,
        ok=not heard.talked_over and not heard.missed and ms is not None and ms <= SLOW_MS and len(turns) == 1,
        why=_why_not(heard, len(turns)),
        turns=len(turns),
        understood=" | ".join(one.text for one in turns),
        cut_off=heard.talked_over,
        decided_early=_decided_early(observed, after_s, heard.end_of_speech_s),
        missed=heard.missed,
        voice_to_voice_ms=ms,
        gateway_ms=gateway_ms,
        contributions=contributions,
        vad_late_ms=_vad_late_ms(played, heard.end_of_speech_s),
        sent_late=_late(played),
    )


def _answered_over(observed: Observed, frames: Sequence[ReceivedFrame], onset_s: float, end_s: float) -> bool:
    """Whether what was said so far was answered before its last word: what it interrupts is silent by then."""
    decided = (at_s for at_s in observed.committed.values() if onset_s < at_s < end_s)
    return any(first_sample(frames, after_s=at_s, before_s=end_s) is not None for at_s in decided)


def _why_not(heard: Turn, turns: int) -> str:
    if heard.talked_over:
        return "answered before the last word"
    if heard.missed:
        return "not answered"
    ms = heard.voice_to_voice_ms
    if ms is not None and ms > SLOW_MS:
        return "answered after more than 2 s"
    return "" if turns == 1 else f"made {turns} turns of it"


def _gone_on(played: Played, frames: Sequence[ReceivedFrame]) -> Judgement:
    observed, recording, after_s = played.observed, played.recording, played.began_s
    lost, _ = _words_of_reply(played, frames, before_s=float("inf"))
    missing = _lost_words(played, frames)
    turns = observed.turns(after_s=after_s)
    broken = _ended_reply(recording, after_s)
    resumed = not turns and not broken and lost is not None and lost <= _WORDS_IN_DOUBT
    why = ""
    if turns:
        why = f"took it for a turn: {turns[0].text!r}"
    elif broken:
        why = "the reply was ended"
    elif not resumed:
        why = "its words could not be compared" if lost is None else f"{lost} words were never heard: {missing}"
    sound_ms, onset_ms = _held(played)
    return Judgement(
        played.case,
        ok=resumed,
        why=why,
        turns=len(turns),
        understood=" | ".join(one.text for one in turns),
        holds=_holds(observed, after_s),
        held_after_sound_ms=sound_ms,
        held_after_onset_ms=onset_ms,
        resumed=resumed,
        words_lost=lost,
        lost=missing,
        sent_late=_late(played),
    )


def _interrupted(played: Played, frames: Sequence[ReceivedFrame]) -> Judgement:
    observed, recording, after_s = played.observed, played.recording, played.began_s
    cut = interruption(recording.sent, frames, after_s=after_s)
    if cut is None:
        return Judgement(played.case, None, "nothing was said")
    if cut.last_audible_s is None:
        return Judgement(played.case, None, "nothing was heard when it was spoken into")
    end_s = end_of_speech(recording.sent, after_s=after_s) or cut.onset_s
    turns = observed.turns(after_s=cut.onset_s)
    # The next answer is no part of the reply; a held reply may come back before.
    answer_s = first_sample(frames, after_s=max(end_s, cut.last_audible_s)) or float("inf")
    told, kept = _told(recording, after_s), _kept(observed, cut.onset_s)
    lost, total = _words_of_reply(played, frames, before_s=answer_s)
    heard = None if lost is None or total is None else total - lost
    gateway_ms, contributions = _latency(recording, observed, cut.onset_s)
    answered = turn(recording.sent, frames, after_s=after_s) if cut.silenced else None
    sound_ms, onset_ms = _held(played)
    silence_ms = cut.time_to_silence_ms
    why = ""
    if not cut.silenced:
        why = "the reply went on"
    elif silence_ms is not None and silence_ms > WENT_ON_MS:
        why = f"went on for {silence_ms:.0f} ms"
    elif not turns:
        why = "silenced, but made no turn of it"
    elif heard is not None and not _close(heard, told):
        why = f"heard {heard} words, told {told}"
    return Judgement(
        played.case,
        ok=not why,
        why=why,
        turns=len(turns),
        understood=" | ".join(one.text for one in turns),
        cut_off=_answered_over(observed, frames, cut.onset_s, end_s),
        voice_to_voice_ms=None if answer_s == float("inf") or answered is None else (answer_s - end_s) * 1000,
        gateway_ms=gateway_ms,
        contributions=contributions,
        holds=_holds(observed, after_s),
        held_after_sound_ms=sound_ms,
        held_after_onset_ms=onset_ms,
        time_to_silence_ms=silence_ms,
        heard_words=heard,
        told_words=told,
        kept_words=kept,
        sent_late=_late(played),
    )


def _undisturbed(played: Played, frames: Sequence[ReceivedFrame]) -> Judgement:
    observed, recording = played.observed, played.recording
    lost, _ = _words_of_reply(played, frames, before_s=float("inf"))
    # What the caller asked for the reply is no part of it; before a greeting nothing is asked.
    after_s = float("-inf") if played.case.question is None else played.began_s - _SEEN_LATE_S
    turns = observed.turns(after_s=played.began_s if played.case.question is not None else after_s)
    broken = bool(turns) or _ended_reply(recording, after_s)
    holds = _holds(observed, after_s)
    why = "interrupted by its own voice" if broken else f"held {holds} times by its own voice" if holds else ""
    return Judgement(
        played.case,
        ok=not broken and not holds,
        why=why,
        turns=len(turns),
        understood=" | ".join(one.text for one in turns),
        holds=holds,
        resumed=not broken,
        words_lost=lost,
        sent_late=_late(played),
    )


def _words_of_reply(
    played: Played, frames: Sequence[ReceivedFrame], *, before_s: float
) -> tuple[int | None, int | None]:
    """How many words of the reply that was spoken into were never heard, and how many it has; None: not to be told."""
    marks = _marked_words(played, frames, before_s)
    if not marks:
        return None, None
    # Counted as words are counted in texts: "lighthouse." is one, "-" is none.
    counted = [(len(normalise(word)), mark) for word, mark in marks]
    return sum(count for count, mark in counted if not mark), sum(count for count, _ in counted)


def _lost_words(played: Played, frames: Sequence[ReceivedFrame]) -> str:
    return " ".join(word for word, mark in _marked_words(played, frames, float("inf")) if not mark)


def _marked_words(played: Played, frames: Sequence[ReceivedFrame], before_s: float) -> list[tuple[str, bool]]:
    """The words of the reply that was spoken into, and whether each was heard."""
    key = played.observed.reply_at(played.began_s)
    segments = [] if key is None else played.observed.of_reply(key)
    marks = words_heard(segments, as_heard(frames, before_s=before_s).pcm)
    return [
        (word.text, mark)
        for segment, of_segment in zip(segments, marks, strict=True)
        for word, mark in zip(segment.words, of_segment, strict=True)
    ]


def _told(recording: Recording, onset_s: float) -> int | None:
    """Words that the page was told were heard, of the reply that was spoken into at a time."""
    began = [message.time_s for message in recording.of_type("bot-started-speaking") if message.time_s <= onset_s]
    after = [message.time_s for message in recording.of_type("bot-started-speaking", after_s=onset_s)]
    if not began:
        return None
    texts: dict[Any, str] = {}
    # What is said about a segment may come just before the voice is said to have begun.
    for message in recording.of_type("bot-output", after_s=began[-1] - 0.2):
        data = cast("dict[str, Any]", message.data) if isinstance(message.data, dict) else {}
        if after and message.time_s >= after[0]:
            break
        progress = data.get("spoken_progress")
        if isinstance(progress, dict):
            texts[data.get("segment_id")] = str(cast("dict[str, Any]", progress).get("accumulated_text", ""))
    return sum(len(normalise(text)) for text in texts.values())


def _kept(observed: Observed, onset_s: float) -> int | None:
    asked = [one for one in observed.asked if one.time_s > onset_s and not one.verbatim]
    return len(normalise(asked[-1].heard_before)) if asked else None


def _held(played: Played) -> tuple[float | None, float | None]:
    """From the caller's sound, and from vad's report of it, to the hold."""
    sound_s = start_of_speech(played.recording.sent, after_s=played.began_s)
    if sound_s is None:
        return None, None
    held_s = next((at_s for at_s, held in played.observed.held if held and at_s > sound_s), None)
    onset_s = next(
        (one.time_s for one in played.observed.detected if one.event == "onset" and one.time_s > sound_s), None
    )
    if held_s is None:
        return None, None
    return (held_s - sound_s) * 1000, None if onset_s is None else (held_s - onset_s) * 1000


def _holds(observed: Observed, after_s: float) -> int:
    count, was = 0, False
    for time_s, held in observed.held:
        count += held and not was and time_s > after_s
        was = held
    return count


def _ended_reply(recording: Recording, after_s: float) -> bool:
    return bool(recording.of_type("bot-interrupted", after_s=after_s))


def _latency(recording: Recording, observed: Observed, after_s: float) -> tuple[float | None, dict[str, float] | None]:
    """Of the last turn, which is the one that the caller's answer is measured to."""
    told = latencies(recording, after_s=after_s)
    if not told or not observed.turns(after_s=after_s):
        return None, None
    return told[-1].total_ms, told[-1].contributions


def _decided_early(observed: Observed, after_s: float, end_s: float) -> bool:
    spoken = {one.key for one in observed.asked if not one.verbatim}
    return any(key in spoken and after_s < time_s < end_s for key, time_s in observed.committed.items())


def _vad_late_ms(played: Played, end_s: float) -> float | None:
    """By samples, so that no delay of the way is in it."""
    frames = [index for index, frame in enumerate(played.recording.sent) if frame.time_s <= end_s]
    ends = [one.sample_ms for one in played.observed.detected if one.event in ("pause", "dip")]
    return ends[-1] - (frames[-1] + 1) * FRAME_MS if frames and ends else None


def _late(played: Played) -> bool:
    return played.late_frames > LATE_SENDING_FRAMES


def _close(heard: int | None, told: int | None) -> bool | None:
    return None if heard is None or told is None else abs(heard - told) <= WITHIN_WORDS
