"""What the conductor sends to the stages: frames with header, number and trace filled in."""

import asyncio
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from natter_common.trace import Trace
from natter_gateway.conductor.generation import Generation
from natter_gateway.context import Entry, Speaker, ToolRecord, Utterance
from natter_gateway.leases.board import HeldLease
from natter_gateway.outbox import Outbox
from natter_gateway.turns.events import AttemptKey
from natter_gateway.turns.events import Modality as TurnModality
from natter_proto import (
    Attempt,
    Control,
    Finalize,
    Header,
    LeaseEpoch,
    Message,
    Modality,
    Playout,
    Reply,
    ReplyKind,
    Report,
    Role,
    Segment,
    SessionSubjects,
    State,
    ToolCall,
    ToolOutcome,
    ToolResult,
    Turn,
)

_ROLES: Final = {Speaker.USER: Role.ROLE_USER, Speaker.ASSISTANT: Role.ROLE_ASSISTANT}
_MODALITIES: Final = {
    TurnModality.VOICE: Modality.MODALITY_VOICE,
    TurnModality.TEXT: Modality.MODALITY_TEXT,
}
_TOLD_S: Final = 10.0
_MOST_TOLD: Final = 256
"""Frames that may have to be told again; over it the oldest are forgotten."""
_SUMMARY: Final = "What was said before, in short: "
_OUTCOMES: Final = {
    "result": ToolOutcome.TOOL_OUTCOME_RESULT,
    "error": ToolOutcome.TOOL_OUTCOME_ERROR,
    "timeout": ToolOutcome.TOOL_OUTCOME_TIMEOUT,
    "cancelled": ToolOutcome.TOOL_OUTCOME_CANCELLED,
    "unknown": ToolOutcome.TOOL_OUTCOME_UNKNOWN,
}


ToldFrame = State | Turn | Reply | Finalize


def messages_of(entry: Entry) -> list[Message]:
    """An entry of the context as the model gets it."""
    if isinstance(entry, Utterance):
        return [Message(role=_ROLES[entry.speaker], content=entry.text)]
    calls = [_call(call) for call in entry.calls]
    results = [Message(role=Role.ROLE_TOOL, content=call.result, tool_call_id=call.id) for call in entry.calls]
    return [Message(role=Role.ROLE_ASSISTANT, tool_calls=calls), *results]


def _call(record: ToolRecord) -> ToolCall:
    return ToolCall(id=record.id, name=record.name, arguments=record.arguments)


def _result(record: ToolRecord) -> ToolResult:
    outcome = _OUTCOMES.get(record.outcome, ToolOutcome.TOOL_OUTCOME_UNSPECIFIED)
    return ToolResult(id=record.id, name=record.name, outcome=outcome, result=record.result)


@dataclass(frozen=True, slots=True)
class CallerSpeech:
    """What is known of the caller's speech, for recognition."""

    speaking: bool
    from_sample: int
    to_sample: int


@dataclass(frozen=True, slots=True)
class LivingAttempt:
    """An attempt, as stages have to know it."""

    key: AttemptKey
    segments_kept: int
    segments_granted: int
    modality: TurnModality
    segments_voiced: int = 0
    committed: bool = True


class FrameWriter:
    """Writes one conductor's frames into the gateway's outbox."""

    def __init__(
        self, session: str, term: int, subjects: SessionSubjects, outbox: Outbox, producer: str, trace: Trace
    ) -> None:
        self.producer: Final = producer
        self.trace: Final = trace
        self._session = session
        self._term = term
        self._subjects = subjects
        self._outbox = outbox
        self._number = 0
        self._states = 0
        self._told: deque[tuple[float, str, ToldFrame]] = deque(maxlen=_MOST_TOLD)
        self._loop = asyncio.get_running_loop()

    def tell_again(self, since_s: float) -> None:
        """Send again what was sent since a time (of the loop, in s), with the numbers that it had."""
        for at_s, subject, frame in self._told:
            if at_s >= since_s:
                self._outbox.put(subject, frame)

    def state(
        self, speech: CallerSpeech, living: Sequence[LivingAttempt], leases: Iterable[HeldLease], *, ended: bool
    ) -> None:
        """Say what is current, whole."""
        self._states += 1
        attempts = [
            Attempt(
                turn=attempt.key[0],
                attempt=attempt.key[1],
                committed=attempt.committed,
                segments_kept=attempt.segments_kept,
                segments_granted=attempt.segments_granted,
                segments_voiced=attempt.segments_voiced,
                modality=_MODALITIES[attempt.modality],
            )
            for attempt in living
        ]
        frame = State(
            header=self._header(),
            number=self._states,
            attempts=attempts,
            leases=[LeaseEpoch(stage=lease.stage, epoch=lease.epoch, worker=lease.worker) for lease in leases],
            speaking=speech.speaking,
            speech_from_sample=speech.from_sample,
            speech_to_sample=speech.to_sample,
            ended=ended,
        )
        self._tell(self._subjects.control(Control.STATE), frame)

    def turn(self, generation: Generation, prompt: str, segments_kept: int) -> None:
        """Start an attempt, or have another worker go on with it: all that the generation needs.

        Raises `BadFrameError` where that is more than a frame holds, `OutboxFullError`.
        """
        context = [Message(role=Role.ROLE_SYSTEM, content=prompt)]
        if generation.summary:
            context.append(Message(role=Role.ROLE_SYSTEM, content=_SUMMARY + generation.summary))
        for entry in generation.context:
            context += messages_of(entry)
        frame = Turn(
            header=self._header(generation.key),
            context=context,
            text=generation.text,
            modality=_MODALITIES[generation.modality],
            reply_so_far=[
                Segment(segment=piece.number, text=piece.text, spoken=piece.spoken) for piece in generation.pieces
            ],
            step=generation.step,
            steps=[
                Message(role=Role.ROLE_ASSISTANT, content=step.said, tool_calls=[_call(call) for call in step.records])
                for step in generation.done
            ],
            tool_results=[_result(call) for step in generation.done for call in step.records],
            segments_kept=segments_kept,
        )
        self._tell(self._subjects.control(Control.TURN), frame)

    def segment(self, key: AttemptKey, number: int, text: str, spoken: str) -> None:
        """Have a segment spoken that no model makes now: a filler, or the rest of one whose voice broke off."""
        frame = Reply(header=self._header(key, number), kind=ReplyKind.REPLY_KIND_SEGMENT, text=text, spoken=spoken)
        self._tell(self._subjects.report(Report.REPLY), frame)

    def reply_end(self, key: AttemptKey, segments: int) -> None:
        """Say again how many segments a reply has, to a voice that came later."""
        frame = Reply(header=self._header(key), kind=ReplyKind.REPLY_KIND_END, segments=segments)
        self._tell(self._subjects.report(Report.REPLY), frame)

    def verbatim(self, key: AttemptKey, segments: Sequence[str]) -> None:
        """Have a text spoken as it is: straight to tts, as if a model had said it."""
        for number, text in enumerate(segments, start=1):
            self.segment(key, number, text, text)
        self.reply_end(key, len(segments))

    def finalize(self, finalize_id: int, through_sample: int) -> None:
        frame = Finalize(header=self._header(), finalize_id=finalize_id, through_sample=through_sample)
        self._tell(self._subjects.control(Control.FINALIZE), frame)

    def playout(self, segment_key: tuple[int, int, int], sample: int, queued_ms: int, *, held: bool) -> None:
        turn, attempt, segment = segment_key
        frame = Playout(header=self._header((turn, attempt), segment), sample=sample, queued_ms=queued_ms, held=held)
        self._outbox.put(self._subjects.control(Control.PLAYOUT), frame)

    def _tell(self, subject: str, frame: ToldFrame) -> None:
        now_s = self._loop.time()
        while self._told and self._told[0][0] < now_s - _TOLD_S:
            self._told.popleft()
        self._outbox.put(subject, frame)
        self._told.append((now_s, subject, frame))

    def _header(self, key: AttemptKey = (0, 0), segment: int = 0) -> Header:
        self._number += 1
        return Header(
            session=self._session,
            term=self._term,
            turn=key[0],
            attempt=key[1],
            segment=segment,
            producer=self.producer,
            number=self._number,
            traceparent=self.trace.traceparent,
        )
