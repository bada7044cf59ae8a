"""One session's voice: segments of living attempts in, voice frames out, as far as the state grants."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import Final

from natter_common.trace import trace_id_of
from natter_common.worker import BadLeaseError, Outlet, Reached, StageSession
from natter_proto import (
    VOICE_RATE_HZ,
    Fault,
    Header,
    Lease,
    Reply,
    ReplyKind,
    Stage,
    State,
    Voice,
    Word,
    pcm_audio,
)
from natter_tts.lease_settings import parse_settings
from natter_tts.provider import LooksAhead, TtsError, TtsProvider, TtsStream, VoiceChunk
from natter_tts.schedule import SpeechSchedule, WantedSegment

FIRST_AUDIO_LIMIT_S: Final = 1.0
"""Over it a voice makes holes between the sentences of a reply."""


class TtsSession(StageSession):
    """Speaks one segment after the other; a segment whose attempt dies is broken off at once."""

    def __init__(self, lease: Lease, outlet: Outlet, provider: TtsProvider) -> None:
        self._outlet = outlet
        self._provider = provider
        try:
            self._stream: TtsStream = provider.open(parse_settings(lease.settings))
        except TtsError as error:
            raise BadLeaseError(error.code, str(error)) from error
        self._schedule = SpeechSchedule()
        self._wake = asyncio.Event()
        self._current: tuple[WantedSegment, asyncio.Task[None]] | None = None
        self._reached = Reached()

    async def on_state(self, state: State) -> None:
        self._schedule.on_state(state)
        if self._current is not None and not self._schedule.living(self._current[0].key):
            self._current[1].cancel()
        self._look_ahead()
        self._wake.set()

    async def on_reply(self, reply: Reply) -> None:
        header = reply.header
        if reply.kind == ReplyKind.REPLY_KIND_END:
            self._schedule.complete((header.turn, header.attempt), reply.segments)
        elif reply.kind == ReplyKind.REPLY_KIND_SEGMENT:
            segment = WantedSegment(
                header.turn, header.attempt, header.segment, reply.text, reply.spoken, header.traceparent
            )
            if self._schedule.add(segment):
                self._look_ahead()
                self._wake.set()
            else:
                await self._fail(segment, TtsError("overflow", "too many segments wait to be spoken"))

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            while True:
                self._wake.clear()
                if (segment := self._schedule.take()) is None:
                    await self._wake.wait()
                    continue
                name = f"tts-{segment.turn}.{segment.attempt}.{segment.number}"
                task = group.create_task(self._speak(segment), name=name)
                self._current = segment, task
                await asyncio.wait({task})
                self._current = None

    async def close(self) -> None:
        await self._stream.close()

    def reached(self) -> Reached:
        return self._reached

    def _look_ahead(self) -> None:
        """Tell the voice what comes behind the segment that is being made, as far as granted."""
        if self._current is None or not isinstance(self._stream, LooksAhead):
            return
        segment = self._current[0]
        if (following := self._schedule.following(segment)) is not None:
            attempt = f"{segment.turn}.{segment.attempt}"
            self._stream.expect(following.text, following.spoken, attempt=attempt)

    async def _speak(self, segment: WantedSegment) -> None:
        loop = asyncio.get_running_loop()
        latency = self._outlet.metrics.stage_latency
        began = loop.time()
        last, attempt = self._schedule.is_last(segment), f"{segment.turn}.{segment.attempt}"
        try:
            made = self._stream.synthesize(segment.text, segment.spoken, attempt=attempt, last=last)
            async with aclosing(made) as chunks:
                async for chunk in chunks:
                    await self._outlet.voice(_frame(segment, chunk))
                    if chunk.first_sample == 0 and chunk.pcm:
                        took_s = loop.time() - began
                        latency.labels("tts", self._provider.name, "first_audio").observe(took_s)
                        self._outlet.took(took_s, FIRST_AUDIO_LIMIT_S)
                    self._look_ahead()
                    # Publishing never yields: without this a long segment would leave the process in one lump.
                    await asyncio.sleep(0)
        except TtsError as error:
            await self._fail(segment, error)
            return
        latency.labels("tts", self._provider.name, "segment").observe(loop.time() - began)
        self._reached = Reached(turn=segment.turn, attempt=segment.attempt, segment=segment.number)

    async def _fail(self, segment: WantedSegment, error: TtsError) -> None:
        self._schedule.fail(segment.key)
        log = self._outlet.log.bind(turn=segment.turn, attempt=segment.attempt, segment=segment.number)
        log.bind(trace_id=trace_id_of(segment.traceparent)).warning("voice failed", code=error.code, reason=str(error))
        header = _header(segment)
        header.traceparent = segment.traceparent
        await self._outlet.fault(
            Fault(
                header=header,
                code=error.code,
                stage=Stage.STAGE_TTS,
                provider=self._provider.name,
                retryable=error.retryable,
                words=str(error),
            )
        )


def _header(segment: WantedSegment) -> Header:
    return Header(turn=segment.turn, attempt=segment.attempt, segment=segment.number)


def _frame(segment: WantedSegment, chunk: VoiceChunk) -> Voice:
    audio = pcm_audio(chunk.pcm, VOICE_RATE_HZ, chunk.first_sample)
    audio.end = chunk.end
    words = [
        Word(text=word.text, from_sample=word.from_sample, to_sample=word.to_sample, estimated=word.estimated)
        for word in chunk.words
    ]
    return Voice(header=_header(segment), audio=audio, words=words, total_samples=chunk.total_samples)
