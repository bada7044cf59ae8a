"""A journal as a timeline for people. Pure."""

from dataclasses import dataclass
from typing import Final

from natter_gateway.journal import notes
from natter_gateway.journal.recording import Recording, Unknown
from natter_gateway.journal.replay import shown
from natter_gateway.turns import actions as act
from natter_gateway.turns import events as ev
from natter_gateway.turns.events import AttemptKey

_MOST_CHARACTERS: Final = 300
_ENDINGS: Final = {
    act.Outcome.COMPLETE: "heard to its end",
    act.Outcome.INTERRUPTED: "interrupted",
    act.Outcome.REOPENED: "taken back: the caller had not finished",
    act.Outcome.FAILED: "failed",
}


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that happened."""

    at_ms: float
    """Since the term of its conductor began."""
    turn: int
    text: str


def timeline(recording: Recording, *, everything: bool = False) -> list[Line]:
    """What was said, heard and decided, in order; `everything`: each entry as it is."""
    lines: list[Line] = []
    for _, entries in recording.terms:
        turn = 0
        heard: dict[int, str] = {}
        for entry in entries:
            turn = _turn_of(entry.content, turn)
            text = _told(entry.content, everything=everything)
            match entry.content:
                case notes.HeardSoFar(_, segment_id, beginning):
                    heard[segment_id] = beginning.strip()
                case act.EndAttempt(_, outcome):
                    if outcome is act.Outcome.INTERRUPTED and not everything:
                        text = f"{text} behind {quoted(' '.join(heard.values()))}"
                    heard = {}
                case _:
                    pass
            if text is not None:
                lines.append(Line((entry.at_us - entries[0].at_us) / 1000, turn, text))
    return lines


def _turn_of(content: object, before: int) -> int:
    turn = getattr(content, "turn", None)
    if isinstance(turn, int):
        return turn
    match content:
        case (
            act.StartAttempt(key)
            | act.StartVerbatim(key)
            | act.StartGuess(key)
            | act.AdoptGuess(key)
            | act.EndAttempt(key)
            | notes.SegmentBegun(key)
        ):
            return key[0]
        case _:
            return before


def _told(content: object, *, everything: bool) -> str | None:
    if isinstance(content, Unknown):
        return f"? {content.kind}: {content.problem}"
    if everything:
        return shown(content)  # pyright: ignore[reportArgumentType] - the others are all there are
    return _of_caller(content) or _of_bot(content) or _of_session(content)


def _of_caller(content: object) -> str | None:
    match content:
        case act.UserStarted():
            return "the caller speaks"
        case ev.Paused(_, _, probability):
            return "pause" + (f", complete with {probability:.0%}" if probability else "")
        case ev.Estimated(_, probability):
            return f"the pause sounds complete with {probability:.0%}"
        case ev.Recognised(text, True) if text:
            return f"recognised {quoted(text)}"
        case ev.Typed(text):
            return f"typed {quoted(text)}"
        case ev.Muted():
            return "microphone off"
        case act.CommitUser(_, text):
            return f"caller: {quoted(text)}"
        case act.CorrectUser(_, text):
            return f"a late final: the caller said {quoted(text)}"
        case act.ReopenUser():
            return "the turn was not over"
        case act.HoldVoice():
            return "the voice is held: the caller may be interrupting"
        case act.ResumeVoice():
            return "it was nothing: the voice goes on"
        case _:
            return None


def _of_bot(content: object) -> str | None:
    match content:
        case act.StartGuess(key, text):
            return f"reply {_name(key)} is prepared for {quoted(text)}"
        case act.AdoptGuess(key):
            return f"reply {_name(key)}, which was prepared, is the answer"
        case act.DropGuess(key):
            return f"reply {_name(key)} is dropped"
        case act.StartAttempt(key):
            return f"reply {_name(key)} is asked for"
        case act.StartVerbatim(key, text):
            return f"reply {_name(key)} is {quoted(text)}"
        case ev.ReplyAudible(key):
            return f"reply {_name(key)} is heard"
        case ev.ReplyDry(key):
            return f"reply {_name(key)} runs dry"
        case ev.ReplyFailed(key, words):
            return f"reply {_name(key)} fails: {quoted(words)}"
        case act.EndAttempt(key, outcome):
            return f"reply {_name(key)} is over: {_ENDINGS[outcome]}"
        case act.Complain(words):
            return f"the caller is told {quoted(words)}"
        case notes.SegmentBegun(_, _, text):
            return f"bot: {quoted(text)}"
        case notes.ToolCalled(_, call, name, arguments):
            return f"tool {call} {name} {quoted(arguments)}"
        case notes.ToolSettled(call, name, _, outcome, result):
            return f"tool {call} {name}: {outcome} {quoted(result)}"
        case notes.ContextAdded(_, text):
            return f"the page has the bot have said {quoted(text)}"
        case _:
            return None


def _of_session(content: object) -> str | None:
    match content:
        case notes.Opened(bot, gateway, term, _, record, _, version):
            return f"term {term} begins: bot {bot}, gateway {gateway}, record {record}, turn machine {version}"
        case notes.TurnAnswered(_, total_ms, contributions_ms):
            parts = ", ".join(f"{name} {value:.0f}" for name, value in contributions_ms)
            return f"answered within {total_ms:.0f} ms ({parts})"
        case notes.EntriesLost(first, last):
            return f"entries {first} to {last} are lost"
        case notes.SessionOver(reason):
            return f"over: {reason}"
        case ev.RecognizerChanged():
            return "recognition has a worker"
        case _:
            return None


def quoted(text: str) -> str:
    """A text in quotes, in one line, without what could steer a terminal."""
    if len(text) > _MOST_CHARACTERS:
        text = f"{text[:_MOST_CHARACTERS]}… ({len(text)} characters)"
    return '"' + "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text) + '"'


def _name(key: AttemptKey) -> str:
    return f"{key[0]}.{key[1]}"
