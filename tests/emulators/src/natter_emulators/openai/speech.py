"""Speak a text over HTTP: marked voice in pieces, as PCM or WAV."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from natter_emulators.marks import MarkedSpeech, speak
from natter_emulators.openai.streaming import strike
from natter_emulators.script import Delays, Fault, Part
from natter_emulators.server import Exchange

RATE_HZ: Final = 24_000

_PIECE_SAMPLES: Final = RATE_HZ // 10
_LONGEST_INPUT: Final = 4096
_FASTEST_WORDS_PER_S: Final = 5.0
_MEDIA_TYPES: Final = {"pcm": "audio/pcm", "wav": "audio/wav"}
_UNKNOWN_LENGTH: Final = 0xFFFFFFFF
# Odd, so that who goes on takes each sample's halves for another's.
_GARBAGE: Final = b"\xff\x00garbage"


@dataclass(frozen=True, slots=True)
class SpeechOptions:
    """What is to be said, already made."""

    speech: MarkedSpeech
    response_format: str

    @classmethod
    def of_request(cls, body: Mapping[str, Any], words_per_s: float, *, strict: bool) -> SpeechOptions:
        """Read a request.

        Raises:
            ValueError: what the service would refuse, a format that the emulator lacks, or a word without a mark.
        """
        text, speed, response_format = body.get("input"), body.get("speed", 1.0), body.get("response_format", "mp3")
        if not isinstance(text, str) or not text.strip():
            raise ValueError("Invalid 'input': string too short. Expected a string with minimum length 1.")
        if len(text) > _LONGEST_INPUT:
            raise ValueError(f"Invalid 'input': string too long. Expected a maximum length of {_LONGEST_INPUT}.")
        if not isinstance(speed, int | float) or not 0.25 <= speed <= 4.0:
            raise ValueError("Invalid 'speed': expected a number from 0.25 to 4.0.")
        if response_format not in _MEDIA_TYPES:
            raise ValueError(f"The emulator speaks pcm and wav, not '{response_format}'.")
        rate = min(words_per_s * speed, _FASTEST_WORDS_PER_S)
        return cls(speak(text, RATE_HZ, words_per_s=rate, strict=strict), str(response_format))


async def stream_speech(exchange: Exchange, options: SpeechOptions, part: Part, delays: Delays) -> None:
    """Answer the request.

    Raises:
        ConnectionOverError: the client left, or the script cut the connection.
    """
    loop = asyncio.get_running_loop()
    speech = options.speech
    begin = loop.time() + (delays.first_audio_ms + part.late_ms) / 1000
    await asyncio.sleep(max(0.0, begin - loop.time()))
    await exchange.start(_MEDIA_TYPES[options.response_format])
    if options.response_format == "wav":
        await exchange.write(_wav_header())
    data = speech.pcm.astype("<i2").tobytes()
    fault_at = _fault_at(speech, part)
    for start in range(0, len(speech.pcm), _PIECE_SAMPLES):
        await asyncio.sleep(max(0.0, begin + start / RATE_HZ / delays.audio_speed - loop.time()))
        end = start + _PIECE_SAMPLES
        if fault_at is not None and start <= fault_at < end:
            await exchange.write(data[2 * start : 2 * fault_at])
            await strike(exchange, part, b"", _GARBAGE)
            await exchange.write(data[2 * fault_at : 2 * end])
        else:
            await exchange.write(data[2 * start : 2 * end])


def _fault_at(speech: MarkedSpeech, part: Part) -> int | None:
    """The sample at which the script's fault comes: the middle of the word after so many, or of the last."""
    if part.fault not in {Fault.STALL, Fault.MALFORMED, Fault.CUT} or not speech.words:
        return None
    word = speech.words[min(part.script.after_words, len(speech.words) - 1)]
    return (word.from_sample + word.to_sample) // 2


def _wav_header() -> bytes:
    """Of a stream whose length nobody knows yet, as the service sends it."""
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, RATE_HZ, RATE_HZ * 2, 2, 16)
    return b"RIFF" + struct.pack("<I", _UNKNOWN_LENGTH) + b"WAVE" + form + b"data" + struct.pack("<I", _UNKNOWN_LENGTH)
