"""Transcribe a file: its marks, in OpenAI's formats."""

from __future__ import annotations

import asyncio
import io
import json
import wave
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from natter_bench.speech import resample
from natter_emulators.marks import HeardWord, hear, heard_text
from natter_emulators.openai.streaming import answer_json
from natter_emulators.script import Delays, Part
from natter_emulators.server import Exchange

_RATE_HZ: Final = 16_000
_SHORTEST_S: Final = 0.1
_FORMATS: Final = ("json", "text", "verbose_json")
_INVALID: Final = "Invalid file format. Supported formats: ['wav']"


@dataclass(frozen=True, slots=True)
class Recording:
    """The form of a request: 16-bit mono sound, and how the answer is wanted."""

    model: str
    pcm: npt.NDArray[np.int16]
    rate_hz: int
    response_format: str = "json"
    words: bool = False
    segments: bool = True
    stream: bool = False
    language: str = "english"

    @classmethod
    def of_form(cls, form: Mapping[str, Sequence[bytes]]) -> Recording:
        """Read the form.

        Raises:
            ValueError: a field is missing or makes no sense; the text is the service's message.
        """

        def one(name: str, default: str = "") -> str:
            return form[name][-1].decode() if name in form else default

        if "file" not in form or "model" not in form:
            raise ValueError(f"Missing required parameter: '{'model' if 'file' in form else 'file'}'.")
        response_format = one("response_format", "json")
        if response_format not in _FORMATS:
            raise ValueError(f"response_format '{response_format}' is not compatible with this model.")
        grains = [value.decode() for value in form.get("timestamp_granularities[]", ())] or ["segment"]
        pcm, rate_hz = _read(form["file"][-1])
        return cls(
            one("model"),
            pcm,
            rate_hz,
            response_format,
            words="word" in grains,
            segments="segment" in grains,
            stream=one("stream") == "true" and not one("model").startswith("whisper"),
            language=one("language", "english"),
        )

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return len(self.pcm) / self.rate_hz

    def answer(self, heard: Sequence[HeardWord]) -> dict[str, Any]:
        """`json` or `verbose_json`."""
        text = heard_text(heard)
        usage = {"type": "duration", "seconds": self.duration_s}
        if self.response_format != "verbose_json":
            return {"text": text, "usage": usage}
        timed = [
            {"word": word.text, "start": word.from_sample / _RATE_HZ, "end": word.to_sample / _RATE_HZ}
            for word in heard
        ]
        answer: dict[str, Any] = {
            "task": "transcribe",
            "language": self.language,
            "duration": self.duration_s,
            "text": text,
            "usage": usage,
        }
        if self.words:
            answer["words"] = timed
        if self.segments:
            answer["segments"] = [_segment(text, timed)] if timed else []
        return answer


async def answer_transcription(
    exchange: Exchange, recording: Recording, part: Part, delays: Delays, stream: list[HeardWord]
) -> None:
    """Answer the request; what was heard goes into `stream`.

    Raises:
        ConnectionOverError: the client left, or the script cut the connection.
    """
    heard = hear(resample(recording.pcm, recording.rate_hz, _RATE_HZ), _RATE_HZ)
    stream += heard
    await asyncio.sleep((delays.final_ms + part.late_ms) / 1000)
    answer = recording.answer(heard)
    if recording.stream:
        await exchange.start("text/event-stream; charset=utf-8")
        words = [f"{' ' if number else ''}{word.text}" for number, word in enumerate(heard)]
        deltas = [{"type": "transcript.text.delta", "delta": word} for word in words]
        for event in (*deltas, {"type": "transcript.text.done", "text": answer["text"]}):
            await exchange.write(b"data: " + json.dumps(event).encode() + b"\n\n")
    elif recording.response_format == "text":
        await exchange.respond(200, f"{answer['text']}\n")
    else:
        await answer_json(exchange, part, answer)


def _read(data: bytes) -> tuple[npt.NDArray[np.int16], int]:
    try:
        with wave.open(io.BytesIO(data)) as file:
            if file.getnchannels() != 1 or file.getsampwidth() != 2:
                raise ValueError(_INVALID)
            rate_hz = file.getframerate()
            # A stream's header may promise more than there is, so the length is what was read.
            pcm = np.frombuffer(file.readframes(file.getnframes()), dtype="<i2").astype(np.int16)
    except (wave.Error, EOFError) as error:
        raise ValueError(_INVALID) from error
    if len(pcm) < rate_hz * _SHORTEST_S:
        raise ValueError("Audio file is too short. Minimum audio length is 0.1 seconds.")
    return pcm, rate_hz


def _segment(text: str, timed: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {
        "id": 0,
        "seek": 0,
        "start": timed[0]["start"],
        "end": timed[-1]["end"],
        "text": f" {text}",
        "tokens": [],
        "temperature": 0.0,
        "avg_logprob": -0.1,
        "compression_ratio": 1.0,
        "no_speech_prob": 0.0,
    }
