"""Test speech without a network: the built-in voice, or espeak-ng where it is installed.

Made once and kept as WAV in a folder of the temp directory; a voice is a pure function of its text, so the cache never
goes stale.
"""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import subprocess
import tempfile
import wave
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal, cast

import numpy as np

from natter_bench.levels import level_dbfs
from natter_bench.opus import FRAME_MS, Encoder, Pcm

Voice = Literal["hibari", "espeak"]

QUESTIONS: Final = (
    "What is the capital of France?",
    "Can you tell me something about the moon?",
    "How many days are there in a week?",
    "What do you like to eat in the morning?",
    "Why is the sky blue in the daytime?",
    "Which animal is the largest in the world?",
    "How do I make a good cup of tea?",
    "What is a nice colour for a small kitchen?",
    "Where can I learn to play the piano?",
    "What should I do on a rainy day?",
)
LONG_QUESTIONS: Final = (
    "Please tell me a long story about a dog and a cat who live near the sea.",
    "Can you explain to me how people cross a large ocean in a small boat?",
    "Please describe a walk through a forest in autumn, with all that you see.",
    "Tell me everything that you know about the history of music.",
    "What happens in a large city from the early morning to the late evening?",
)
"""They ask for replies that are long enough to be interrupted."""
INTERRUPTION: Final = "Stop, wait a moment please, I have another question."

_ESPEAK = "espeak-ng"
# Voices begin and end with up to half a second of near-silence, which would only make every turn longer.
_TRIM_BELOW_DBFS = -55.0


class SpeechError(Exception):
    """No voice is installed, or the one asked for failed."""


@dataclass(frozen=True, slots=True)
class Speech:
    """Mono speech: int16 samples at `rate_hz`."""

    text: str
    pcm: Pcm
    rate_hz: int

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return len(self.pcm) / self.rate_hz

    def at(self, rate_hz: int) -> Speech:
        """The same at another rate."""
        return Speech(self.text, resample(self.pcm, self.rate_hz, rate_hz), rate_hz)


@dataclass(frozen=True, slots=True)
class EncodedSpeech:
    """Speech as Opus packets of 20 ms with the level of each: what a microphone track plays."""

    frames: tuple[bytes, ...]
    dbfs: tuple[float, ...]

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return len(self.frames) * FRAME_MS / 1000


def encode(pcm: Pcm, rate_hz: int, *, expected_loss_percent: int = 0) -> EncodedSpeech:
    """Encode ahead of a call (about 120 µs a frame), so that a say costs nothing and many callers share it.

    `rate_hz` is one that Opus takes: 8, 12, 16, 24 or 48 kHz. The last frame is filled up with silence.
    """
    encoder = Encoder(rate_hz, expected_loss_percent=expected_loss_percent)
    count = -(-len(pcm) // encoder.frame_samples)
    padded = np.zeros(count * encoder.frame_samples, dtype=np.int16)
    padded[: len(pcm)] = pcm
    parts = padded.reshape(count, encoder.frame_samples)
    return EncodedSpeech(tuple(encoder.encode(part) for part in parts), tuple(level_dbfs(part) for part in parts))


def say(text: str, *, voice: Voice | None = None, trim: bool = True) -> Speech:
    """Speak `text`: with the voice asked for, else with the built-in one, else with espeak-ng.

    Raises SpeechError when there is none.
    """
    chosen = voice or ("hibari" if _hibari_class() is not None else "espeak")
    path = _cache_dir() / f"{hashlib.sha256(f'{chosen}:{text}'.encode()).hexdigest()[:24]}.wav"
    if not path.exists():
        made = _say_hibari(text) if chosen == "hibari" else _say_espeak(text)
        _write_atomically(path, wav_bytes(made.pcm, made.rate_hz))
    pcm, rate_hz = read_wav(path)
    return Speech(text, trimmed(pcm, rate_hz) if trim else pcm, rate_hz)


def question(index: int, *, voice: Voice | None = None) -> Speech:
    """One of the questions, counted around."""
    return say(QUESTIONS[index % len(QUESTIONS)], voice=voice)


def trimmed(pcm: Pcm, rate_hz: int, below_dbfs: float = _TRIM_BELOW_DBFS) -> Pcm:
    """Without near-silence at both ends, to a frame of 20 ms."""
    size = rate_hz * FRAME_MS // 1000
    loud = [start for start in range(0, len(pcm), size) if level_dbfs(pcm[start : start + size]) > below_dbfs]
    return pcm[loud[0] : loud[-1] + size] if loud else pcm[:0]


def resample(pcm: Pcm, from_hz: int, to_hz: int) -> Pcm:
    """Polyphase resampling."""
    if from_hz == to_hz:
        return pcm
    from scipy import signal  # a third of a second to import: only who needs it pays

    divisor = int(np.gcd(from_hz, to_hz))
    out = cast("Any", signal).resample_poly(pcm.astype(np.float64), to_hz // divisor, from_hz // divisor)
    return np.clip(np.rint(out), -32768, 32767).astype(np.int16)


def microphone_wav(path: Path, speech: Speech, *, leading_s: float = 4.0, trailing_s: float = 20.0) -> Path:
    """A file for Chromium's `--use-file-for-fake-audio-capture`: 48 kHz mono, silence, speech, silence.

    Chromium starts over at the end of the file unless told `%noloop`.
    """
    pcm = speech.at(48_000).pcm
    silence = [np.zeros(round(seconds * 48_000), dtype=np.int16) for seconds in (leading_s, trailing_s)]
    _write_atomically(path, wav_bytes(np.concatenate([silence[0], pcm, silence[1]]), 48_000))
    return path


def wav_bytes(pcm: Pcm, rate_hz: int) -> bytes:
    """Mono 16-bit WAV."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate_hz)
        file.writeframes(pcm.astype("<i2").tobytes())
    return buffer.getvalue()


def read_wav(path: Path) -> tuple[Pcm, int]:
    """Samples and rate of a mono 16-bit WAV."""
    with wave.open(str(path), "rb") as file:
        if file.getnchannels() != 1 or file.getsampwidth() != 2:
            raise SpeechError(f"{path} is not 16-bit mono")
        return np.frombuffer(file.readframes(file.getnframes()), dtype="<i2").astype(np.int16), file.getframerate()


def _cache_dir() -> Path:
    folder = Path(tempfile.gettempdir()) / f"natter-bench-speech-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def _write_atomically(path: Path, data: bytes) -> None:
    # Several callers or test processes may make the same sentence at once.
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
        file.write(data)
    Path(file.name).replace(path)


def _hibari_class() -> Any:
    try:
        import hibari  # loads a model runtime; espeak-ng does without it
    except ImportError:
        return None
    return cast(Any, hibari).Hibari


@cache
def _hibari() -> Any:
    maker = _hibari_class()
    if maker is None:
        raise SpeechError("the built-in voice (hibari-tts) is not installed")
    return maker()


def _say_hibari(text: str) -> Speech:
    samples = np.asarray(_hibari()(text), dtype=np.float32)
    return Speech(text, np.clip(np.rint(samples * 32767), -32768, 32767).astype(np.int16), 24_000)


def _say_espeak(text: str) -> Speech:
    program = shutil.which(_ESPEAK)
    if program is None:
        raise SpeechError(f"no voice for test speech: neither hibari-tts nor {_ESPEAK} is installed")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "speech.wav"
        done = subprocess.run(  # noqa: S603
            [program, "-v", "en-us", "-s", "150", "-w", str(path), "--", text], capture_output=True, check=False
        )
        if done.returncode != 0 or not path.exists():
            raise SpeechError(f"{_ESPEAK} failed: {done.stderr.decode(errors='replace').strip()}")
        pcm, rate_hz = read_wav(path)
    # Opus takes no 22.05 kHz.
    return Speech(text, resample(pcm, rate_hz, 24_000), 24_000)
