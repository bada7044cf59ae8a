"""Gladia's live recognition (`/v2/live`) without the network: audio in, messages out.

After https://docs.gladia.io/api-reference/v2/live/websocket and the types of `gladiaio-sdk` 2.2. It has no finalize: an
utterance ends by the silence after it, which has to keep coming.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from natter_emulators.hearing import BYTES_PER_SAMPLE, Hearing
from natter_emulators.marks import HeardWord
from natter_emulators.misheard import misheard
from natter_emulators.punctuation import punctuate

Message = dict[str, Any]

CREATED_AT: Final = "2026-01-01T00:00:00.000Z"
# The service's own speech detection does not see shorter gaps, whatever `endpointing` asks for.
_SHORTEST_PAUSE_MS: Final = 150
_CONFIDENCE: Final = 0.98
_SAMPLE_RATES_HZ: Final = (8_000, 16_000, 32_000, 44_100, 48_000)
# What is sent to a client that does not say: https://docs.gladia.io/api-reference/v2/live/init, messages_config.
_DEFAULT_MESSAGES: Final = {
    "receive_partial_transcripts": False,
    "receive_final_transcripts": True,
    "receive_speech_events": True,
    "receive_post_processing_events": True,
    "receive_acknowledgments": True,
    "receive_lifecycle_events": False,
}


class InvalidParametersError(ValueError):
    """A request to begin a session that the service answers with 400."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("Invalid parameter(s)")
        self.problems = problems


@dataclass(frozen=True, slots=True)
class LiveOptions:
    """The part of the request that changes what comes back."""

    model: str = "solaria-1"
    rate_hz: int = 16_000
    endpointing_ms: int = 50
    longest_ms: int = 5_000
    language: str = "en"
    messages: Mapping[str, bool] = field(default_factory=lambda: dict(_DEFAULT_MESSAGES))

    @classmethod
    def from_body(cls, body: Mapping[str, Any]) -> LiveOptions:
        """Raises:
        InvalidParametersError: what the real service refuses, or what this one cannot hear.
        """
        problems = [
            f"{name} must be one of the following values: {', '.join(map(str, allowed))}"
            for name, allowed, default in (
                ("sample_rate", _SAMPLE_RATES_HZ, 16_000),
                ("encoding", ("wav/pcm",), "wav/pcm"),
                ("bit_depth", (16,), 16),
                ("channels", (1,), 1),
            )
            if body.get(name, default) not in allowed
        ]
        endpointing_s = _within(body, "endpointing", 0.05, 0.01, 10, problems)
        longest_s = _within(body, "maximum_duration_without_endpointing", 5, 5, 60, problems)
        if problems:
            raise InvalidParametersError(problems)
        config: Any = body.get("language_config") or {}
        languages: Any = config.get("languages") or ["en"]
        return cls(
            model=body.get("model") or "solaria-1",
            rate_hz=body.get("sample_rate") or 16_000,
            endpointing_ms=round(endpointing_s * 1000),
            longest_ms=round(longest_s * 1000),
            language=str(languages[0]),
            messages={**_DEFAULT_MESSAGES, **(body.get("messages_config") or {})},
        )

    def wants(self, kind: str) -> bool:
        """Whether the client asked for `receive_<kind>`."""
        return bool(self.messages.get(f"receive_{kind}"))


def _within(
    body: Mapping[str, Any], name: str, default: float, least: float, most: float, problems: list[str]
) -> float:
    value: Any = body.get(name, default)
    if not isinstance(value, int | float) or not least <= value <= most:
        problems.append(f"{name} must be between {least:g} and {most:g}")
        return default
    return value


@dataclass
class Live:
    """One session, over all its connections.

    Attributes:
        heard: every word of the session, in order.
        sentences: write sentences, as the service does; else words stay as they were heard.
        finals_differ_every: as in `Script`.
    """

    options: LiveOptions
    session_id: str
    heard: list[HeardWord] = field(default_factory=list[HeardWord])
    sentences: bool = False
    finals_differ_every: int = 0

    def __post_init__(self) -> None:
        self._hearing = Hearing(self.options.rate_hz)
        self._utterance: list[HeardWord] = []
        self._finals: list[Message] = []
        self._in_speech = False
        self._told_words = 0
        self._bytes = 0

    @property
    def mid_word(self) -> bool:
        """A word is being heard right now."""
        return self._hearing.speaking

    @property
    def since_word_ms(self) -> float:
        """Audio received since the end of the newest word."""
        return self._hearing.since_word_ms

    @property
    def began(self) -> bool:
        """Audio has come."""
        return self._bytes > 0

    def acknowledge(self, pcm: bytes) -> Message:
        """A chunk was taken. To be sent before it is fed: what is not acknowledged is sent again."""
        start, self._bytes = self._bytes, self._bytes + len(pcm)
        data = {"byte_range": [start, self._bytes], "time_range": [self._byte_s(start), self._byte_s(self._bytes)]}
        return self.message("audio_chunk", data, acknowledged=True, error=None)

    def feed(self, pcm: bytes) -> Iterator[Message]:
        """The next audio; yields what the service has to say about it."""
        for words in self._hearing.steps(pcm):
            yield from self._step(words)

    def stop(self) -> Iterator[Message]:
        """`stop_recording`: what is left, and what is made of the whole."""
        duration_s = self._byte_s(self._bytes)
        if self.options.wants("acknowledgments"):
            data = {"recording_duration": duration_s, "recording_left_to_process": 0.0}
            yield self.message("stop_recording", data, acknowledged=True, error=None)
        words = self._hearing.end()
        self._utterance += words
        self.heard += words
        yield from self._end_utterance()
        if self.options.wants("lifecycle_events"):
            yield self.message("end_recording", {"recording_duration": duration_s})
        if self.options.wants("post_processing_events"):
            transcription = {
                "full_transcript": " ".join(utterance["text"] for utterance in self._finals),
                "languages": [self.options.language],
                "utterances": self._finals,
            }
            metadata = {
                "audio_duration": duration_s,
                "number_of_distinct_channels": 1,
                "billing_time": duration_s,
                "transcription_time": duration_s,
            }
            yield self.message("post_transcript", transcription)
            yield self.message("post_final_transcript", {"metadata": metadata, "transcription": transcription})
        if self.options.wants("lifecycle_events"):
            yield self.message("end_session")

    def message(self, kind: str, data: Message | None = None, **more: Any) -> Message:
        """Any message of this session."""
        told = {"session_id": self.session_id, "created_at": CREATED_AT, **more, "type": kind}
        return told if data is None else {**told, "data": data}

    def _byte_s(self, count: int) -> float:
        return self._hearing.seconds(count // BYTES_PER_SAMPLE)

    def _step(self, words: list[HeardWord]) -> Iterator[Message]:
        hearing = self._hearing
        if (hearing.speaking or words) and not self._in_speech:
            self._in_speech = True
            yield from self._speech_event("speech_start")
        self._utterance += words
        self.heard += words
        longest = hearing.span(self.options.longest_ms)
        pause_ms = max(self.options.endpointing_ms, _SHORTEST_PAUSE_MS)
        if self._in_speech and hearing.quiet_ms >= pause_ms:
            self._in_speech = False
            yield from self._speech_event("speech_end")
            yield from self._end_utterance()
        elif words and hearing.samples - self._utterance[0].from_sample >= longest:
            yield from self._end_utterance()
        elif self.options.wants("partial_transcripts") and len(self._utterance) > self._told_words:
            # Each new word at once: told at fixed times, the last one would trail the audio by up to the period.
            self._told_words = len(self._utterance)
            yield self._transcript(is_final=False)

    def _speech_event(self, kind: str) -> Iterator[Message]:
        if self.options.wants("speech_events"):
            yield self.message(kind, {"time": self._hearing.seconds(self._hearing.samples), "channel": 0})

    def _end_utterance(self) -> Iterator[Message]:
        if not self._utterance:
            return
        message = self._transcript(is_final=True)
        self._finals.append(message["data"]["utterance"])
        self._utterance = []
        self._told_words = 0
        if self.options.wants("final_transcripts"):
            yield message

    def _transcript(self, *, is_final: bool) -> Message:
        words = self._utterance
        seconds = self._hearing.seconds
        written = [word.text for word in words]
        if not is_final:
            written = misheard(written, self._hearing.utterances, self.finals_differ_every)
        if self.sentences:
            written = punctuate(written, begins=True, ends=is_final)
        utterance = {
            "start": seconds(words[0].from_sample),
            "end": seconds(words[-1].to_sample),
            "confidence": _CONFIDENCE,
            "channel": 0,
            # All but the first word come with the space before them.
            "words": [
                {
                    "word": f" {as_written}" if index else as_written,
                    "start": seconds(word.from_sample),
                    "end": seconds(word.to_sample),
                    "confidence": _CONFIDENCE,
                }
                for index, (word, as_written) in enumerate(zip(words, written, strict=True))
            ],
            "text": " ".join(written),
            "language": self.options.language,
        }
        number = f"00_{len(self._finals):08d}"
        return self.message("transcript", {"id": number, "is_final": is_final, "utterance": utterance})
