"""The process that holds the Moonshine model: `python -m natter_stt.moonshine`.

A process of its own, for three reasons: the binding copies audio through Python lists with the interpreter's lock held
(15 ms of a standing loop for 8 s of audio); a fault in native code costs one answer and not fifty calls; and one thread
for the model, which halves what a transcript costs in CPU for a fifth more time, can only be asked for by environment
variable.

On stdin: for each job `<II` (number, bytes) and s16le audio at 16 kHz. On stdout: one JSON object a line, first
`{"ready": true}`, then `{"job": number, "text": …, "took_ms": …}`. It ends with its stdin.
"""

from __future__ import annotations

import json
import os
import struct
import sys
import time
from typing import BinaryIO, Final, Protocol, cast

import numpy as np

HEADER: Final = struct.Struct("<II")
SINGLE_THREAD_VARIABLE: Final = "MOONSHINE_ORT_SINGLE_THREAD"
# Its own speech detection would cut and drop: vad has done that. Returned audio would only be copied.
_OPTIONS: Final = {"vad_threshold": "0", "return_audio_data": "false", "identify_speakers": "false"}
_RATE_HZ: Final = 16_000


class _Line(Protocol):
    text: str


class _Answer(Protocol):
    lines: list[_Line]


class _Model(Protocol):
    def transcribe_without_streaming(self, audio_data: list[float], sample_rate: int) -> _Answer: ...


def _load() -> _Model:
    from moonshine_voice import ModelArch, Transcriber, get_assets_path

    path = get_assets_path() / "tiny-en"
    model = cast("_Model", Transcriber(model_path=str(path), model_arch=ModelArch.TINY, options=_OPTIONS))
    noise = np.random.default_rng(0).normal(0, 0.01, 4 * _RATE_HZ)
    for length_s in (1, 4):
        model.transcribe_without_streaming(noise[: length_s * _RATE_HZ].tolist(), _RATE_HZ)
    return model


def _read(source: BinaryIO, count: int) -> bytes | None:
    data = source.read(count)
    return data if len(data) == count else None


def serve(model: _Model, source: BinaryIO, sink: BinaryIO) -> None:
    """Answer jobs until the source ends."""
    sink.write(b'{"ready": true}\n')
    sink.flush()
    while (header := _read(source, HEADER.size)) is not None:
        job, count = cast("tuple[int, int]", HEADER.unpack(header))
        pcm = _read(source, count)
        if pcm is None:
            return
        began = time.perf_counter()
        audio = np.frombuffer(pcm, "<i2").astype(np.float32) / 32_768
        answer = model.transcribe_without_streaming(audio.tolist(), _RATE_HZ)
        text = " ".join(line.text.strip() for line in answer.lines).strip()
        took_ms = (time.perf_counter() - began) * 1_000
        sink.write(json.dumps({"job": job, "text": text, "took_ms": round(took_ms, 1)}).encode() + b"\n")
        sink.flush()


def main() -> None:
    """Load the model and serve. What native code prints goes to stderr, so that stdout holds answers only."""
    with os.fdopen(os.dup(1), "wb") as sink:
        os.dup2(2, 1)
        serve(_load(), sys.stdin.buffer, sink)


if __name__ == "__main__":
    main()
