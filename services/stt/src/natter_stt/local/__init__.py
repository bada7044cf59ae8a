"""The built-in recognizer: Moonshine tiny, English, in a process of its own. No key, no download."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter

from natter_stt.local.engine import Engine
from natter_stt.local.segmenter import Segmenter
from natter_stt.local.stream import LocalStream
from natter_stt.provider import BadSettingsError, Emit, SpeechEnds, StreamSettings, SttStream

__all__ = ["LocalProvider"]

MODEL = "moonshine-tiny"


class LocalProvider:
    """An `SttProvider`: one engine for all streams of the worker."""

    name = "local"
    speech_ends = SpeechEnds.FINALIZE
    final_within_ms = 800
    early_final = False  # cutting costs accuracy, and the interim of a dip is the final that a pause would get
    stable_interims = True
    final_grace_ms = 800

    def __init__(self) -> None:
        self._engine = Engine()
        self._pieces: Counter | None = None

    def describe(self) -> str:
        return "Moonshine tiny, English, built in"

    async def load(self, registry: CollectorRegistry) -> None:
        """Start the recognizer's process and load the model."""
        self._pieces = Counter(
            "natter_stt_local_pieces",
            "Pieces of audio asked for (interim, dip, final), and those reused, skipped, mistrusted",
            ("what",),
            registry=registry,
        )
        await self._engine.start()

    async def probe(self) -> None:
        """Its process is watched by the engine."""

    def open(self, settings: StreamSettings, emit: Emit) -> SttStream:
        """A stream for one session; raises `BadSettingsError`."""
        if settings.language.split("-")[0].lower() != "en":
            raise BadSettingsError(f"the built-in recognizer knows English only, not {settings.language!r}")
        if settings.model not in {None, MODEL}:
            raise BadSettingsError(f"the built-in recognizer has the model {MODEL!r} only, not {settings.model!r}")
        return LocalStream(
            self._engine, Segmenter(settings.from_sample, settings.interim_interval_ms, self._count), emit
        )

    async def close(self) -> None:
        """End the recognizer's process."""
        await self._engine.close()

    def _count(self, what: str) -> None:
        if self._pieces is not None:
            self._pieces.labels(what).inc()
