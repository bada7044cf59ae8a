"""One caller's recognition: frames of the session to a provider's stream, and what it says back to the conductor."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

import natter_proto as proto
from natter_common.mic import MicSpan
from natter_common.worker import BadLeaseError, Outlet, Reached, StageSession
from natter_stt.provider import BadSettingsError, StreamSettings, SttError, SttProvider, Transcript, TurnSign

# Transcripts are few a second and are sent at once. Over this, interims are dropped and counted; finals never are.
MAX_UNSENT_INTERIMS: Final = 64
_SIGNS: Final = {
    TurnSign.NONE: proto.TurnSign.TURN_SIGN_UNSPECIFIED,
    TurnSign.EAGER_END: proto.TurnSign.TURN_SIGN_EAGER_END,
    TurnSign.RESUMED: proto.TurnSign.TURN_SIGN_RESUMED,
    TurnSign.END: proto.TurnSign.TURN_SIGN_END,
}


class LeaseSettings(BaseModel):
    """What a bot may set of stt. Unknown keys are left to newer versions."""

    model_config = ConfigDict(extra="ignore")

    language: str = Field(default="en", min_length=2, max_length=35)
    model: str | None = None
    interim_interval_ms: int = Field(default=500, ge=0, le=10_000)
    keyterms: tuple[str, ...] = ()


def stream_settings(lease: proto.Lease) -> StreamSettings:
    """The settings of a lease; raises `BadLeaseError` on what can't be."""
    try:
        settings = LeaseSettings.model_validate_json(lease.settings or "{}")
    except ValidationError as error:
        problems = "; ".join(f"stt.{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors())
        raise BadLeaseError("bad_settings", problems) from error
    return StreamSettings(
        lease.from_sample, settings.language, settings.model, settings.interim_interval_ms, settings.keyterms
    )


class SttSession(StageSession):
    """Serves one lease with one stream of one provider."""

    def __init__(self, lease: proto.Lease, outlet: Outlet, provider: SttProvider) -> None:
        self._outlet = outlet
        self._provider = provider
        self._unsent: deque[Transcript] = deque()
        self._wake = asyncio.Event()
        self._asked: dict[int, float] = {}  # finalize id: when; answered within a second
        self._reached = lease.from_sample
        self._loop = asyncio.get_running_loop()
        self._speaking = (0, False)
        try:
            self._stream = provider.open(stream_settings(lease), self._take)
        except BadSettingsError as error:
            raise BadLeaseError("bad_settings", f"stt: {error}") from error
        except SttError as error:
            raise BadLeaseError(error.code, str(error)) from error

    async def on_mic(self, span: MicSpan) -> None:
        self._reached = span.end_sample
        self._stream.feed(span.first_sample, span.pcm)

    async def on_state(self, state: proto.State) -> None:
        speaking = (state.speech_from_sample, state.speaking and not state.ended)
        if speaking != self._speaking:
            self._speaking = speaking
            self._stream.speech(speaking[0], speaking=speaking[1])

    async def on_finalize(self, finalize: proto.Finalize) -> None:
        self._asked[finalize.finalize_id] = self._loop.time()
        self._stream.finalize(finalize.finalize_id, finalize.through_sample)

    def _take(self, transcript: Transcript) -> None:
        if not transcript.final and len(self._unsent) >= MAX_UNSENT_INTERIMS:
            self._outlet.metrics.drop("transcript", "interims_unsent")
            return
        self._unsent.append(transcript)
        self._wake.set()

    async def run(self) -> None:
        """Let the stream work and send what it says; say a fault when it can't go on."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._stream.run(), name="stt-stream")
                tasks.create_task(self._send(), name="stt-send")
        except* SttError as group:
            for error in group.exceptions:
                await self._fault(error)

    async def _fault(self, error: BaseException) -> None:
        code, retryable = (error.code, error.retryable) if isinstance(error, SttError) else ("internal", True)
        self._outlet.log.error("stream failed", provider=self._provider.name, code=code, reason=str(error))
        await self._outlet.fault(
            proto.Fault(
                code=code,
                stage=proto.Stage.STAGE_STT,
                provider=self._provider.name,
                retryable=retryable,
                words=str(error),
            )
        )

    async def _send(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._unsent:
                transcript = self._unsent.popleft()
                self._observe(transcript)
                await self._outlet.transcript(_frame(transcript, self._provider.name))

    def _observe(self, transcript: Transcript) -> None:
        latency = self._outlet.metrics.stage_latency
        if not transcript.final:
            latency.labels("stt", self._provider.name, "interim").observe(transcript.took_ms / 1_000)
        elif (asked := self._asked.pop(transcript.finalize_id, None)) is not None:
            latency.labels("stt", self._provider.name, "final").observe(self._loop.time() - asked)

    def reached(self) -> Reached:
        return Reached(sample=self._reached)


def _frame(transcript: Transcript, provider: str) -> proto.Transcript:
    words = [
        proto.Word(
            text=word.text,
            from_sample=word.from_sample,
            to_sample=word.to_sample,
            confidence=word.confidence,
            estimated=word.estimated,
        )
        for word in transcript.words
    ]
    return proto.Transcript(
        words=words,
        final=transcript.final,
        through_sample=transcript.through_sample,
        language=transcript.language,
        revision=transcript.revision,
        finalize_id=transcript.finalize_id,
        provider=provider,
        took_ms=transcript.took_ms,
        sign=_SIGNS[transcript.sign],
    )
