"""What the services said to each other about a session, taken from NATS: for the truth, and for why it went wrong."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

import nats
import nats.errors
import numpy as np
from nats.aio.client import Client
from nats.aio.msg import Msg

from natter_bench.errors import CallError
from natter_bench.opus import Pcm
from natter_bench.tap import DEFAULT_REALM
from natter_proto import (
    BadFrameError,
    Control,
    Finalize,
    Playout,
    RealmSubjects,
    Reply,
    ReplyKind,
    Report,
    Role,
    Speech,
    SpeechEvent,
    State,
    Transcript,
    Turn,
    Voice,
    decode,
    decode_voice,
    last_token,
)

_CONNECT_WITHIN_S: Final = 5.0
_RECONNECT_WAIT_S: Final = 0.05
_BYTES_PER_SAMPLE: Final = 2
_MIC_SAMPLES_PER_MS: Final = 16

ReplyKey = tuple[int, int]
"""Turn and attempt."""
SegmentKey = tuple[int, int, int]
"""Turn, attempt and segment."""
LeaseKey = tuple[int, int]
"""Term and epoch: who takes over has a greater one."""


@dataclass(frozen=True, slots=True)
class VoicedWord:
    """A word of a segment, in its 24 kHz samples."""

    text: str
    from_sample: int
    to_sample: int


@dataclass(frozen=True, slots=True)
class VoicedSegment:
    """What one tts worker made of a segment, 24 kHz mono. Who takes over numbers its samples from 0."""

    key: ReplyKey
    segment: int
    pcm: Pcm
    words: tuple[VoicedWord, ...]
    lease: LeaseKey = (1, 1)


@dataclass(frozen=True, slots=True)
class Detected:
    """What vad said: `event` in small letters, `sample_ms` in the microphone's time."""

    time_s: float
    event: str
    sample_ms: float
    probability: float


@dataclass(frozen=True, slots=True)
class Asked:
    """A generation that was asked for. `heard_before` is the reply before as the model's context has it."""

    time_s: float
    key: ReplyKey
    text: str
    verbatim: bool
    heard_before: str


@dataclass(slots=True)
class Observed:
    """A session from inside. Times are arrivals, on the caller's clock."""

    detected: list[Detected] = field(default_factory=list[Detected])
    held: list[tuple[float, bool]] = field(default_factory=list[tuple[float, bool]])
    """When playout said that it is held, or not."""
    asked: list[Asked] = field(default_factory=list[Asked])
    committed: dict[ReplyKey, float] = field(default_factory=dict[ReplyKey, float])
    """When an attempt was first said to be the one that counts."""
    transcripts: list[tuple[float, str, bool]] = field(default_factory=list[tuple[float, str, bool]])
    """When, what, whether final."""
    finalized: list[tuple[float, float]] = field(default_factory=list[tuple[float, float]])
    """When recognition was asked to close, and everything before which millisecond of the microphone."""
    replied: dict[ReplyKey, float] = field(default_factory=dict[ReplyKey, float])
    """When the first piece of text of a reply came."""
    voiced: dict[ReplyKey, float] = field(default_factory=dict[ReplyKey, float])
    """When the first voice of a reply came."""
    segments: list[VoicedSegment] = field(default_factory=list[VoicedSegment])
    texts: dict[SegmentKey, str] = field(default_factory=dict[SegmentKey, str])
    """Each segment as it was first written: who takes over is given the rest of it only."""

    def between(self, since_s: float, until_s: float) -> Observed:
        """What happened from `since_s` to before `until_s`. Segments and their texts have no time, and stay."""

        def within(time_s: float) -> bool:
            return since_s <= time_s < until_s

        return Observed(
            detected=[one for one in self.detected if within(one.time_s)],
            held=[one for one in self.held if within(one[0])],
            asked=[one for one in self.asked if within(one.time_s)],
            committed={key: at_s for key, at_s in self.committed.items() if within(at_s)},
            transcripts=[one for one in self.transcripts if within(one[0])],
            finalized=[one for one in self.finalized if within(one[0])],
            replied={key: at_s for key, at_s in self.replied.items() if within(at_s)},
            voiced={key: at_s for key, at_s in self.voiced.items() if within(at_s)},
            segments=self.segments,
            texts=self.texts,
        )

    def of_reply(self, key: ReplyKey) -> list[VoicedSegment]:
        """A reply's segments in order, each as often as somebody made of it."""
        return sorted((one for one in self.segments if one.key == key), key=lambda one: (one.segment, one.lease))

    def turns(self, *, after_s: float = float("-inf")) -> list[Asked]:
        """The caller's turns that were decided on after a time, each in its last form."""
        turns: dict[int, Asked] = {}
        for key, time_s in sorted(self.committed.items(), key=lambda item: item[1]):
            asked = next((one for one in self.asked if one.key == key), None)
            if asked is not None and not asked.verbatim and time_s > after_s:
                turns[key[0]] = asked
        return list(turns.values())

    def reply_at(self, time_s: float) -> ReplyKey | None:
        """The reply that counted at a time."""
        known = [(at_s, key) for key, at_s in self.committed.items() if at_s <= time_s]
        return max(known)[1] if known else None


class Observer:
    """Listens to one session. Keeps all of it: a call of ten seconds is about half a megabyte."""

    def __init__(self, client: Client, realm: str) -> None:
        self._client = client
        self._subjects = RealmSubjects(realm)
        self._observed = Observed()
        self._audio: dict[tuple[SegmentKey, LeaseKey], bytearray] = {}
        self._words: dict[tuple[SegmentKey, LeaseKey], dict[int, VoicedWord]] = {}
        self._lease: LeaseKey = (0, 0)
        self.bad_frames = 0

    @classmethod
    @asynccontextmanager
    async def open(cls, nats_url: str, realm: str = DEFAULT_REALM) -> AsyncGenerator[Observer]:
        """Connect for the time of the block. Raises CallError when NATS is not there."""
        try:
            client = await nats.connect(
                nats_url.split(","),
                name="natter-bench",
                connect_timeout=_CONNECT_WITHIN_S,
                # One of several nodes may go.
                allow_reconnect="," in nats_url,
                reconnect_time_wait=_RECONNECT_WAIT_S,
                error_cb=_said_by_the_error,
            )
        except (OSError, TimeoutError, nats.errors.Error) as error:
            raise CallError(f"NATS does not answer at {nats_url}: {error or type(error).__name__}") from error
        try:
            yield cls(client, realm)
        finally:
            await client.close()

    async def listen(self, session: str) -> None:
        """Take the session from now on: give it to `Caller.connect` as `on_session`."""
        subjects = self._subjects.session(session)
        try:
            await self._client.subscribe(subjects.voice, cb=self._on_voice)
            await self._client.subscribe(subjects.controls, cb=self._on_frame)
            await self._client.subscribe(subjects.reports, cb=self._on_frame)
            await self._client.flush()
        except (TimeoutError, nats.errors.Error) as error:
            raise CallError(f"NATS is gone: {error or type(error).__name__}") from error

    def observed(self) -> Observed:
        """All of it up to now."""
        self._observed.segments = [
            VoicedSegment(
                key[:2],
                key[2],
                np.frombuffer(bytes(audio), dtype="<i2").astype(np.int16),
                tuple(word for _, word in sorted(self._words[key, lease].items())),
                lease,
            )
            for (key, lease), audio in sorted(self._audio.items())
        ]
        return self._observed

    async def _on_voice(self, message: Msg) -> None:
        try:
            frame = decode_voice(message.data)
        except BadFrameError:
            self.bad_frames += 1
            return
        self._keep_voice(frame)

    def _keep_voice(self, frame: Voice) -> None:
        key = (frame.header.turn, frame.header.attempt, frame.header.segment)
        lease = (frame.header.term, frame.header.epoch)
        if lease < self._lease:
            # Who was stopped and goes on: the gateway drops it too.
            return
        self._lease = lease
        self._observed.voiced.setdefault(key[:2], time.monotonic())
        audio = self._audio.setdefault((key, lease), bytearray())
        at = frame.audio.first_sample * _BYTES_PER_SAMPLE
        if len(audio) < at:
            audio.extend(bytes(at - len(audio)))
        audio[at : at + len(frame.audio.data)] = frame.audio.data
        words = self._words.setdefault((key, lease), {})
        for word in frame.words:
            words[word.from_sample] = VoicedWord(word.text, word.from_sample, word.to_sample)

    async def _on_frame(self, message: Msg) -> None:
        now_s = time.monotonic()
        try:
            self._keep(now_s, last_token(message.subject), message.data)
        except BadFrameError:
            self.bad_frames += 1

    def _keep(self, now_s: float, kind: str, data: bytes) -> None:
        observed = self._observed
        if kind == Report.SPEECH:
            speech = decode(Speech, data)
            name = SpeechEvent.Name(speech.event).removeprefix("SPEECH_EVENT_").lower()
            place_ms = speech.sample / _MIC_SAMPLES_PER_MS
            observed.detected.append(Detected(now_s, name, place_ms, speech.probability))
        elif kind == Report.TRANSCRIPT:
            transcript = decode(Transcript, data)
            text = " ".join(word.text for word in transcript.words)
            observed.transcripts.append((now_s, text, transcript.final))
        elif kind == Control.FINALIZE:
            observed.finalized.append((now_s, decode(Finalize, data).through_sample / _MIC_SAMPLES_PER_MS))
        elif kind == Report.REPLY:
            reply = decode(Reply, data)
            header = reply.header
            observed.replied.setdefault((header.turn, header.attempt), now_s)
            if reply.kind == ReplyKind.REPLY_KIND_SEGMENT:
                observed.texts.setdefault((header.turn, header.attempt, header.segment), reply.text)
        elif kind == Control.PLAYOUT:
            observed.held.append((now_s, decode(Playout, data).held))
        elif kind == Control.STATE:
            for attempt in decode(State, data).attempts:
                if attempt.committed:
                    observed.committed.setdefault((attempt.turn, attempt.attempt), now_s)
        elif kind == Control.TURN:
            turn = decode(Turn, data)
            said = [one.content for one in turn.context if one.role == Role.ROLE_ASSISTANT]
            key = (turn.header.turn, turn.header.attempt)
            observed.asked.append(Asked(now_s, key, turn.text, turn.verbatim, said[-1] if said else ""))


async def _said_by_the_error(_error: Exception) -> None:
    """What nats-py would print, for every attempt, is in the error that it raises at the end."""
