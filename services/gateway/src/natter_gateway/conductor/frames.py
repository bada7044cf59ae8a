"""What the conductor sends to the stages: frames with header, number and trace filled in."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from natter_common.trace import Trace
from natter_gateway.context import Speaker, Utterance
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
    SessionSubjects,
    State,
    Turn,
)

_ROLES: Final = {Speaker.USER: Role.ROLE_USER, Speaker.ASSISTANT: Role.ROLE_ASSISTANT}
_MODALITIES: Final = {
    TurnModality.VOICE: Modality.MODALITY_VOICE,
    TurnModality.TEXT: Modality.MODALITY_TEXT,
}


@dataclass(frozen=True, slots=True)
class CallerSpeech:
    """What is known of the caller's speech, for recognition."""

    speaking: bool
    from_sample: int
    to_sample: int


@dataclass(frozen=True, slots=True)
class LivingAttempt:
    """The committed attempt, as stages have to know it."""

    key: AttemptKey
    segments_kept: int
    segments_granted: int
    modality: TurnModality


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

    def state(
        self, speech: CallerSpeech, living: LivingAttempt | None, leases: Iterable[HeldLease], *, ended: bool
    ) -> None:
        """Say what is current, whole."""
        self._states += 1
        attempts: list[Attempt] = []
        if living is not None:
            turn, attempt = living.key
            attempts.append(
                Attempt(
                    turn=turn,
                    attempt=attempt,
                    committed=True,
                    segments_kept=living.segments_kept,
                    segments_granted=living.segments_granted,
                    modality=_MODALITIES[living.modality],
                )
            )
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
        self._outbox.put(self._subjects.control(Control.STATE), frame)

    def turn(
        self, key: AttemptKey, prompt: str, context: Sequence[Utterance], text: str, modality: TurnModality
    ) -> None:
        """Start an attempt: all that the generation needs."""
        messages = [Message(role=Role.ROLE_SYSTEM, content=prompt)]
        messages += [Message(role=_ROLES[utterance.speaker], content=utterance.text) for utterance in context]
        frame = Turn(header=self._header(key), context=messages, text=text, modality=_MODALITIES[modality])
        self._outbox.put(self._subjects.control(Control.TURN), frame)

    def verbatim(self, key: AttemptKey, segments: Sequence[str]) -> None:
        """Have a text spoken as it is: straight to tts, as if a model had said it."""
        subject = self._subjects.report(Report.REPLY)
        for number, text in enumerate(segments, start=1):
            frame = Reply(header=self._header(key, number), kind=ReplyKind.REPLY_KIND_SEGMENT, text=text, spoken=text)
            self._outbox.put(subject, frame)
        end = Reply(header=self._header(key), kind=ReplyKind.REPLY_KIND_END, segments=len(segments))
        self._outbox.put(subject, end)

    def finalize(self, finalize_id: int, through_sample: int) -> None:
        frame = Finalize(header=self._header(), finalize_id=finalize_id, through_sample=through_sample)
        self._outbox.put(self._subjects.control(Control.FINALIZE), frame)

    def playout(self, segment_key: tuple[int, int, int], sample: int, queued_ms: int, *, held: bool) -> None:
        turn, attempt, segment = segment_key
        frame = Playout(header=self._header((turn, attempt), segment), sample=sample, queued_ms=queued_ms, held=held)
        self._outbox.put(self._subjects.control(Control.PLAYOUT), frame)

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
