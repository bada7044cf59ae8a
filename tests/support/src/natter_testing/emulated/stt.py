"""Recognition that understands what the script says, whatever was said."""

import asyncio
from typing import Final

from natter_common.mic import MicSpan
from natter_common.worker import Input, Outlet, Reached, StageDefinition, StageSession
from natter_proto import Finalize, Lease, Recognizer, SpeechEnds, Stage, State, Transcript
from natter_testing.emulated.script import Pace, first_words, spread_words, utterance

_INTERIM_S: Final = 0.5
_SAMPLES_PER_WORD: Final = 16 * 300
_WAIT_FOR_MIC_S: Final = 0.8
_MOST_WAITING: Final = 16


class SttSession(StageSession):
    """One session's recognition: interims while there is speech, one final for each finalize."""

    def __init__(self, _lease: Lease, outlet: Outlet, pace: Pace) -> None:
        self._outlet = outlet
        self._pace = pace
        # Over the bound a finalize is not answered, as by a worker that hangs.
        self._finalizes: asyncio.Queue[Finalize] = asyncio.Queue(_MOST_WAITING)
        self._mic_came = asyncio.Event()
        self._through = 0
        self._speaking = False
        self._speech_from: int | None = None
        """Where the newest speech began."""
        self._told = True
        """All of it is in a final: what is still said of it adds no word."""
        self._utterances = 0
        self._revision = 0

    async def on_mic(self, span: MicSpan) -> None:
        self._through = span.end_sample
        self._mic_came.set()

    async def on_state(self, state: State) -> None:
        self._speaking = state.speaking
        if state.speaking and self._speech_from != state.speech_from_sample:
            self._speech_from = state.speech_from_sample
            self._told = False

    async def on_finalize(self, finalize: Finalize) -> None:
        if not self._finalizes.full():
            self._finalizes.put_nowait(finalize)

    async def run(self) -> None:
        while True:
            try:
                async with asyncio.timeout(_INTERIM_S):
                    finalize = await self._finalizes.get()
            except TimeoutError:
                await self._say_interim()
            else:
                await self._close(finalize)

    def reached(self) -> Reached:
        return Reached(sample=self._through)

    async def _say_interim(self) -> None:
        if not self._speaking or self._told or self._speech_from is None:
            return
        count = (self._through - self._speech_from) // _SAMPLES_PER_WORD
        text = first_words(utterance(self._utterances), count)
        if text:
            self._revision += 1
            await self._send(text, self._through, final=False)

    async def _close(self, finalize: Finalize) -> None:
        try:
            async with asyncio.timeout(_WAIT_FOR_MIC_S):
                while self._through < finalize.through_sample:
                    self._mic_came.clear()
                    await self._mic_came.wait()
        except TimeoutError:
            self._outlet.log.warning("microphone did not reach the finalize", through=self._through)
        await asyncio.sleep(self._pace.transcription_ms / 1000)
        text = ""
        if not self._told:
            text = utterance(self._utterances)
            self._utterances += 1
            # Speech that began behind the request is another utterance.
            self._told = finalize.through_sample > (self._speech_from or 0)
        await self._send(text, finalize.through_sample, final=True, finalize_id=finalize.finalize_id)
        self._revision = 0

    async def _send(self, text: str, through_sample: int, *, final: bool, finalize_id: int = 0) -> None:
        begin = through_sample if self._speech_from is None else min(self._speech_from, through_sample)
        await self._outlet.transcript(
            Transcript(
                words=spread_words(text, begin, through_sample),
                final=final,
                through_sample=through_sample,
                language="en",
                revision=self._revision,
                finalize_id=finalize_id,
                provider="local",
                took_ms=float(self._pace.transcription_ms),
            )
        )


def definition(pace: Pace) -> StageDefinition:
    def open_session(lease: Lease, outlet: Outlet) -> SttSession:
        return SttSession(lease, outlet, pace)

    inputs = Input.MIC | Input.CONTROLS
    # Asked at a dip, so that replies are prepared as with real recognition.
    declared = Recognizer(speech_ends=SpeechEnds.SPEECH_ENDS_FINALIZE, early_final=True)
    return StageDefinition(
        Stage.STAGE_STT,
        inputs,
        {"local": "emulated recognition"},
        open_session,
        recognizers={"local": declared},
    )
