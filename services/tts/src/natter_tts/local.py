"""The built-in voice: Hibari, an American woman's, on the processor. No key, no download at run time.

One model for all sessions of a worker, run by one thread of its own; sessions take turns utterance by utterance.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Final, cast

import numpy as np
from prometheus_client import CollectorRegistry

from natter_tts.phonemes import Utterance, utterances, word_times
from natter_tts.provider import SpokenWord, TtsError, TtsSettings, VoiceChunk
from natter_tts.shape import Chunker, Samples, pause_samples, to_s16, trim
from natter_tts.spoken_text import speakable
from natter_tts.words import TimedWord, place_words, share_words

VOICES: Final = ("heart",)
# The tensor inside the model that says how many frames each phoneme lasts; it is no output by itself.
_DURATIONS: Final = "/Clip_output_0"
# Brings the voice's peaks of -10 dBFS to the level that callers expect.
_GAIN: Final = 1.8
# Utterances that wait for the thread, over all sessions; one takes 10 to 100 ms.
_MOST_WAITING: Final = 64


@dataclass(slots=True)
class _Engine:
    voice: Any
    session: Any
    normalize: Callable[[str], str]
    synthesize: Callable[..., Samples]
    noise: np.random.Generator


@dataclass(slots=True)
class _Made:
    audio: Samples
    words: tuple[SpokenWord, ...]


class LocalProvider:
    """Hibari's own voice."""

    name = "local"

    def __init__(self) -> None:
        self._engine: _Engine | None = None
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="tts-model")
        self._waiting = 0

    def describe(self) -> str:
        return "built-in Hibari, American English"

    async def load(self, registry: CollectorRegistry) -> None:
        self._engine = await asyncio.get_running_loop().run_in_executor(self._thread, _load_engine)
        # First runs are slow, and words unknown to the lexicon load another model: no caller should meet either.
        stream = self.open(TtsSettings())
        for text in ("Hello there, how can I help?", "Natter says xylobrontic."):
            async for _ in stream.synthesize(text, text, attempt="", last=True):
                pass

    def open(self, settings: TtsSettings) -> LocalStream:
        if settings.voice and settings.voice not in VOICES:
            raise TtsError(
                "unknown_voice", f"the built-in voice is {VOICES[0]!r}, not {settings.voice!r}", retryable=False
            )
        if not settings.language.lower().startswith("en"):
            raise TtsError("unknown_language", "the built-in voice speaks English only", retryable=False)
        if not 0.5 <= settings.speed <= 2.0:
            raise TtsError("bad_speed", f"speed is 0.5 to 2.0, not {settings.speed}", retryable=False)
        return LocalStream(self, settings.speed)

    async def probe(self) -> None:
        """It is there once it is loaded."""

    async def close(self) -> None:
        await asyncio.to_thread(self._thread.shutdown, wait=True, cancel_futures=True)
        self._engine = None

    async def run(self, work: Callable[[_Engine], Any]) -> Any:
        """Run ``work`` in the model's thread. What still waits when the caller is cancelled is not done."""
        engine = self._engine
        if engine is None:
            raise TtsError("not_loaded", "the built-in voice is not loaded")
        if self._waiting >= _MOST_WAITING:
            raise TtsError("busy", "the built-in voice has too much to do")
        abandoned = threading.Event()
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(
                self._thread, lambda: None if abandoned.is_set() else work(engine)
            )
        finally:
            abandoned.set()
            self._waiting -= 1


class LocalStream:
    """One session's voice."""

    def __init__(self, provider: LocalProvider, speed: float) -> None:
        self._provider = provider
        self._speed = speed

    async def synthesize(self, text: str, spoken: str, *, attempt: str, last: bool) -> AsyncGenerator[VoiceChunk, None]:
        del attempt, last  # Every segment is made whole.
        said = speakable(spoken)
        plan = cast("list[Utterance]", await self._provider.run(lambda engine: _plan(engine, said))) if said else []
        shares = share_words(text, [[word.text for word in utterance.words] for utterance in plan]) if plan else [text]
        chunker = Chunker()
        words: list[SpokenWord] = [] if plan else list(place_words(text, ()))
        position = 0
        for index, (utterance, share) in enumerate(zip(plan, shares, strict=False)):
            pause = pause_samples(spoken, text) if index == len(plan) - 1 else pause_samples(utterance.text)
            made = cast("_Made", await self._provider.run(_maker(utterance, share, self._speed, position, pause)))
            position += len(made.audio)
            words += made.words
            for first_sample, pcm in chunker.feed(to_s16(made.audio, _GAIN)):
                yield VoiceChunk(first_sample, pcm, _take(words, first_sample + len(pcm) // 2))
        rest = chunker.finish()
        for first_sample, pcm in rest:
            yield VoiceChunk(first_sample, pcm, _take(words, first_sample + len(pcm) // 2))
        total = chunker.sent_samples
        yield VoiceChunk(total, b"", tuple(words), end=True, total_samples=total)

    async def close(self) -> None:
        """Nothing is held between segments."""


def _take(words: list[SpokenWord], before_sample: int) -> tuple[SpokenWord, ...]:
    """Take the words that begin before ``before_sample`` off the front of ``words``."""
    count = sum(1 for word in words if word.from_sample < before_sample)
    taken = tuple(words[:count])
    del words[:count]
    return taken


def _plan(engine: _Engine, said: str) -> list[Utterance]:
    return utterances(engine.voice, engine.normalize, said)


def _maker(utterance: Utterance, text: str, speed: float, position: int, pause: int) -> Callable[[_Engine], _Made]:
    """The work of making one utterance that begins at sample ``position`` of its segment and shows ``text``."""

    def make(engine: _Engine) -> _Made:
        ids = np.asarray([utterance.ids], np.int64)
        outputs = engine.session.run(None, {"ids": ids, "speed": np.asarray([speed], np.float32)})
        durations = np.asarray(outputs[-1]).ravel().tolist()
        raw = engine.synthesize(*(output[0] for output in outputs[:-1]), engine.noise)
        audio, cut = trim(raw, pause)
        end = max(0, len(audio) - pause)
        timed = [
            TimedWord(word.text, word.from_sample + position, word.to_sample + position)
            for word in word_times(utterance, durations, -cut, end)
        ]
        return _Made(audio, place_words(text, timed))

    return make


def _load_engine() -> _Engine:
    """Load model, lexicon and tagger; blocks for about a second."""
    try:
        hibari = cast("Any", import_module("hibari"))
        onnxruntime = cast("Any", import_module("onnxruntime"))
        normalize = cast("Any", import_module("hibari.g2p.normalize")).normalize
        dsp = cast("Any", import_module("hibari.dsp"))
    except ImportError as error:
        raise TtsError("no_engine", f"the built-in voice cannot be loaded: {error}", retryable=False) from error
    voice = hibari.Hibari(voice=VOICES[0], threads=1)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # A thread that spins while it waits takes the core from everybody else.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    model = Path(voice.model_path).read_bytes() + _as_output(_DURATIONS)
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    # The voice brings its own session of the same model; one is enough.
    voice.sess = session
    return _Engine(voice, session, normalize, dsp.synth, np.random.default_rng(0))


def _as_output(tensor: str) -> bytes:
    """Bytes that, put behind an ONNX model, make ``tensor`` its last output.

    Protobuf joins what is written behind a message with it: ModelProto.graph (7) gets one more GraphProto.output (12),
    a ValueInfoProto with nothing but its name (1).
    """

    def field(number: int, content: bytes) -> bytes:
        if len(content) > 127:
            raise ValueError("lengths over 127 would need more bytes")
        return bytes(((number << 3) | 2, len(content))) + content

    return field(7, field(12, field(1, tensor.encode())))
