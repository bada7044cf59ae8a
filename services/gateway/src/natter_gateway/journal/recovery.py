"""A session's context as it was when its gateway died: the snapshot, and what the journal has behind it. Pure."""

from dataclasses import dataclass, field, replace

from natter_gateway.context import Context, Speaker, ToolRecord
from natter_gateway.journal.notes import (
    ContextAdded,
    HeardSoFar,
    SegmentBegun,
    SessionOver,
    ToolCalled,
    ToolSettled,
    WordsSoFar,
)
from natter_gateway.journal.recording import Entry, Recording
from natter_gateway.journal.snapshot import Snapshot
from natter_gateway.turns import actions as act
from natter_gateway.turns.events import AttemptKey

_UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class AnswerAgain:
    """No reply to the newest turn was ever heard: what the caller said in it."""

    text: str


@dataclass(frozen=True, slots=True)
class SayAgain:
    """A greeting or another text of the bot's own that nobody heard."""

    text: str


@dataclass(frozen=True, slots=True)
class Apologize:
    """Tools ran for an answer that nobody heard: another attempt might have them act twice."""


Owed = AnswerAgain | SayAgain | Apologize


@dataclass(frozen=True, slots=True)
class Recovered:
    """Where the session stands."""

    snapshot: Snapshot
    """With all that the journal has behind it."""
    owed: Owed | None = None
    """What the caller still waits for."""
    cut_off: bool = False
    """A reply was being heard, or was about to be."""
    over: bool = False
    """The journal ends with the end of the session."""
    complete: bool = True
    """False: entries are missing in between."""


@dataclass(slots=True)
class _Reply:
    """The committed reply that lives; its text is what was heard."""

    key: AttemptKey
    verbatim: str = ""
    """What it says, if that is no model's."""
    heard: dict[int, str] = field(default_factory=dict[int, str])
    calls: dict[str, ToolRecord] = field(default_factory=dict[str, ToolRecord])

    @property
    def text(self) -> str:
        return " ".join(text.strip() for text in self.heard.values() if text.strip())


class _Reader:
    def __init__(self, snapshot: Snapshot) -> None:
        self.context = Context(snapshot.context)
        self.turn = snapshot.turn
        self.words = snapshot.words
        self.next_segment_id = snapshot.next_segment_id
        self.reply: _Reply | None = None
        self.over = False

    def early(self, entry: Entry) -> None:
        """An entry that the snapshot knows: only a reply that still lives is not in its context."""
        match entry.content:
            case act.StartAttempt(key) | act.AdoptGuess(key):
                self.reply = _Reply(key)
            case act.StartVerbatim(key, text):
                self.reply = _Reply(key, text)
            case act.EndAttempt():
                self.reply = None
            case _:
                self._of_reply(entry)

    def late(self, entry: Entry) -> None:
        """An entry behind the snapshot."""
        match entry.content:
            case act.UserStarted(turn):
                self.turn = max(self.turn, turn)
            case act.CommitUser(turn, text, _):
                self.turn = max(self.turn, turn)
                self.context.add_user(turn, text)
                self.words = ""
            case WordsSoFar(text):
                self.words = text
            case act.CorrectUser(turn, text):
                self.context.correct_user(turn, text)
            case act.ReopenUser(turn):
                self.context.remove(turn)
            case act.EndAttempt(key, outcome):
                self._end(key, outcome)
            case ContextAdded(turn, text):
                self.context.add_heard(turn, text)
            case SessionOver():
                self.over = True
            case act.StartVerbatim(key):
                self.turn = max(self.turn, key[0])
                self.early(entry)
            case _:
                self.early(entry)

    def owed(self, reply: _Reply) -> Owed | None:
        """What there is to be heard in place of a reply that lives."""
        if reply.text:
            return None
        if reply.calls:
            return Apologize()
        if reply.verbatim:
            return SayAgain(reply.verbatim)
        turn, said = reply.key[0], self.context.utterances
        texts = (one.text for one in said if one.turn == turn and one.speaker is Speaker.USER)
        return next((AnswerAgain(text) for text in texts), None)

    def _of_reply(self, entry: Entry) -> None:
        reply = self.reply
        match entry.content:
            case SegmentBegun(_, segment_id, _):
                self.next_segment_id = max(self.next_segment_id, segment_id + 1)
            case HeardSoFar(key, segment_id, text) if reply is not None and reply.key == key:
                reply.heard[segment_id] = text
            case ToolCalled(key, call_id, name, arguments) if reply is not None and reply.key == key:
                reply.calls[call_id] = ToolRecord(call_id, name, arguments, _UNKNOWN, "")
            case ToolSettled(call_id, name, arguments, outcome, result):
                record = ToolRecord(call_id, name, arguments, outcome, result)
                if reply is not None and call_id in reply.calls:
                    reply.calls[call_id] = record
                else:
                    self.context.correct_tool(record)
            case _:
                pass

    def _end(self, key: AttemptKey, outcome: act.Outcome) -> None:
        reply, self.reply = self.reply, None
        if outcome is not act.Outcome.REOPENED and reply is not None and reply.key == key:
            self.close(reply)

    def close(self, reply: _Reply) -> None:
        """What was heard of a reply enters the context, and what its tools found."""
        if reply.calls:
            self.context.add_tools(reply.key[0], tuple(reply.calls.values()))
        self.context.add_heard(reply.key[0], reply.text)


def recovered(snapshot: Snapshot, recording: Recording) -> Recovered:
    """The session as its last gateway left it. `recording`: its journal, or its end from the snapshot's sequence on.

    A reply that was being heard is closed with what was heard of it.
    """
    reader = _Reader(snapshot)
    seen = 0
    complete = True
    mic_sample = snapshot.mic_sample
    for entry in recording.terms[-1][1] if recording.terms else ():
        if seen and entry.number != seen + 1:
            complete = False
        seen = entry.number
        mic_sample = max(mic_sample, entry.mic_sample)
        if entry.number <= snapshot.journal_entry:
            reader.early(entry)
        else:
            reader.late(entry)
    reply = reader.reply
    owed = None if reply is None else reader.owed(reply)
    if reply is not None:
        reader.close(reply)
    now = replace(
        snapshot,
        turn=reader.turn,
        context=reader.context.state,
        next_segment_id=reader.next_segment_id,
        journal_entry=max(seen, snapshot.journal_entry),
        mic_sample=mic_sample,
        words=reader.words,
    )
    return Recovered(now, owed, reply is not None, reader.over, complete)
