"""How a voice emulator speaks on a connection: at its pace, and with the script's faults."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Final

from natter_emulators.emulator import Context
from natter_emulators.marks import MarkedSpeech, speak
from natter_emulators.script import Fault, Part
from natter_emulators.server import Connection, ConnectionOverError

_PIECE_MS: Final = 100


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of the voice, ready to be sent: s16le, and its place in the whole speech."""

    pcm: bytes
    from_sample: int
    to_sample: int


class Voice:
    """The voice of one connection.

    Attributes:
        words: spoken so far on the connection, those of interrupted texts up to where they were.
        stalled: it says nothing any more, and nothing else is answered either.
    """

    def __init__(self, connection: Connection, context: Context, part: Part, rate_hz: int, garbage: str) -> None:
        """`garbage` is what comes instead of a message under `Fault.MALFORMED`."""
        self.words = 0
        self.stalled = False
        self.rate_hz = rate_hz
        self._connection, self._part, self._garbage = connection, part, garbage
        self._context = context
        self._struck = False

    def speech(self, text: str, *, speed: float = 1.0) -> MarkedSpeech:
        """Make the speech of a text.

        Raises:
            ValueError: a word has no mark, and the emulators are strict about that.
        """
        words_per_s = min(self._part.script.words_per_s * speed, 5.0)
        return speak(text, self.rate_hz, words_per_s=words_per_s, strict=self._context.strict)

    async def pieces(self, speech: MarkedSpeech, asked_s: float) -> AsyncGenerator[Piece]:
        """The speech in pieces of 100 ms, each when it is due. Ends early where it stalls.

        Args:
            speech: of a text.
            asked_s: when the text was there to be spoken, by the running loop's clock: from then on the delay of the
                first audio counts, whatever it took to make the speech.

        Raises:
            ConnectionOverError: cut, in the middle of a word.
        """
        delays = self._context.delays
        loop = asyncio.get_running_loop()
        # Behind an earlier text of the same connection it is made while that one is still being sent.
        begin = max(loop.time(), asked_s + (delays.first_audio_ms + self._part.late_ms) / 1000)
        step = self.rate_hz * _PIECE_MS // 1000
        strike = self._strike_at(speech)
        ends = [word.to_sample for word in speech.words]
        before = self.words
        start = 0
        while start < len(speech.pcm) and not self.stalled:
            end = min(start + step, len(speech.pcm))
            if strike is not None and start < strike < end:
                end = strike
            await asyncio.sleep(max(0.0, begin + start / self.rate_hz / delays.audio_speed - loop.time()))
            yield Piece(speech.pcm[start:end].astype("<i2").tobytes(), start, end)
            self.words = max(self.words, before + sum(word_end <= end for word_end in ends))
            start = end
            if start == strike:
                await self._strike()

    def _strike_at(self, speech: MarkedSpeech) -> int | None:
        """The sample of this speech at which a fault is due: the middle of the word after so many."""
        if self._part.fault not in {Fault.STALL, Fault.MALFORMED, Fault.CUT} or self._struck:
            return None
        first = self._part.script.after_words - self.words
        if first > len(speech.words):
            return None
        if first == len(speech.words):
            return len(speech.pcm)
        word = speech.words[max(first, 0)]
        return (word.from_sample + word.to_sample) // 2

    async def _strike(self) -> None:
        self._struck = True
        if self._part.fault is Fault.CUT:
            self._connection.cut_inside_message()
            raise ConnectionOverError
        if self._part.fault is Fault.STALL:
            self.stalled = True
        else:
            await self._connection.send(self._garbage)
