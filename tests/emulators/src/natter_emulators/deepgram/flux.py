"""Deepgram's recognition that decides about turns (Flux, `/v2/listen`) without the network: audio in, messages out.

After https://developers.deepgram.com/docs/flux/state and the types of `deepgram-sdk` 7.17. Turns end by the quiet
between marked words, so a test knows when they end.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from natter_emulators.deepgram.listen import BadQueryError, Message, number, within
from natter_emulators.hearing import Hearing
from natter_emulators.marks import HeardWord
from natter_emulators.misheard import misheard
from natter_emulators.punctuation import punctuate

_UPDATE_EVERY_MS: Final = 250
_CONFIDENCE: Final = 0.98
_ONGOING_CONFIDENCE: Final = 0.05
# An end-of-turn threshold of 1 is never reached: only time or the client ends turns.
_NEVER: Final = 1.0


@dataclass(frozen=True, slots=True)
class TurnQuiet:
    """How long after the last word a turn may be over, and is over."""

    eager_ms: int = 300
    end_ms: int = 600


@dataclass(frozen=True, slots=True)
class FluxOptions:
    """The part of the query, and later of `Configure`, that changes what comes back.

    Attributes:
        eager_eot_threshold: None for no `EagerEndOfTurn` and `TurnResumed`.
    """

    model: str = "flux-general-en"
    rate_hz: int = 16_000
    eager_eot_threshold: float | None = None
    eot_threshold: float = 0.7
    eot_timeout_ms: int = 5_000
    keyterms: tuple[str, ...] = ()

    @classmethod
    def from_query(cls, query: Mapping[str, str]) -> FluxOptions:
        """Raises:
        BadQueryError: what the real service refuses, or what this one cannot hear.
        """
        model = query.get("model", "")
        if not model or model.startswith(("nova", "base", "enhanced")):
            raise BadQueryError(f"Bad Request: no such model on /v2/listen: {model!r}.")
        if query.get("encoding") not in ("linear16", "s16le"):
            raise BadQueryError("Bad Request: the emulator hears encoding=linear16 only.")
        options = cls(model=model, rate_hz=number(query.get("sample_rate", ""), "sample_rate"))
        return options.changed(query)

    def changed(self, thresholds: Mapping[str, Any]) -> FluxOptions:
        """With the thresholds that are given.

        Raises:
            BadQueryError: out of the range that the service allows.
        """
        changes: dict[str, Any] = {}
        for name, least, most in (("eager_eot_threshold", 0.3, 0.9), ("eot_threshold", 0.5, 1.0)):
            if (given := thresholds.get(name)) is not None:
                changes[name] = within(given, least, most, name)
        if (given := thresholds.get("eot_timeout_ms")) is not None:
            changes["eot_timeout_ms"] = int(within(given, 500, 10_000, "eot_timeout_ms"))
        return replace(self, **changes)


class _Turn(enum.Enum):
    NONE = enum.auto()
    ONGOING = enum.auto()
    AWAITING_END = enum.auto()


@dataclass
class Flux:
    """One stream and its turns.

    Attributes:
        heard: every word of the stream, in order.
        sentences: write sentences, as the service does; else words stay as they were heard.
        finals_differ_every: as in `Script`; what an end of turn says, an eager one too, is final.
    """

    options: FluxOptions
    request_id: str
    quiet: TurnQuiet = TurnQuiet()
    heard: list[HeardWord] = field(default_factory=list[HeardWord])
    sentences: bool = False
    finals_differ_every: int = 0

    def __post_init__(self) -> None:
        self._hearing = Hearing(self.options.rate_hz)
        self._sequence = 0
        self._state = _Turn.NONE
        self._turn_index = 0
        self._turn_words: list[HeardWord] = []
        self._turn_start = 0
        self._told_at = 0

    @property
    def mid_word(self) -> bool:
        """A word is being heard right now."""
        return self._hearing.speaking

    @property
    def since_word_ms(self) -> float:
        """Audio received since the end of the newest word."""
        return self._hearing.since_word_ms

    def connected(self) -> Message:
        """The first message of a connection."""
        return self._numbered("Connected")

    def feed(self, pcm: bytes) -> Iterator[Message]:
        """The next audio; yields what the service has to say about it."""
        for words in self._hearing.steps(pcm):
            yield from self._step(words)

    def force_end_turn(self) -> Iterator[Message]:
        """`ForceEndTurn`: the turn is over; nothing when there is none."""
        if self._state is not _Turn.NONE:
            yield self._end("manual")

    def close(self) -> Iterator[Message]:
        """`CloseStream`: the last words, if any were not told yet. It ends no turn."""
        words = self._hearing.end()
        if words:
            self._take(words)
            yield self._turn_info("Update", _ONGOING_CONFIDENCE)

    def configure(self, message: Mapping[str, Any]) -> Message:
        """`Configure`: new thresholds and keyterms, all or none."""
        try:
            self.options = self.options.changed(message.get("thresholds") or {})
        except BadQueryError as error:
            return self._numbered("ConfigureFailure", code="INVALID_THRESHOLDS", description=str(error))
        keyterms = message.get("keyterms")
        if keyterms is not None:
            terms: list[str] = [keyterms] if isinstance(keyterms, str) else list(keyterms)
            self.options = replace(self.options, keyterms=tuple(terms))
        thresholds = {
            "eager_eot_threshold": self.options.eager_eot_threshold,
            "eot_threshold": self.options.eot_threshold,
            "eot_timeout_ms": self.options.eot_timeout_ms,
        }
        return self._numbered("ConfigureSuccess", thresholds=thresholds, keyterms=list(self.options.keyterms))

    def fatal(self, code: str, description: str) -> Message:
        """The last message before the service closes the connection by itself."""
        message = self._numbered("Error", code=code, description=description)
        del message["request_id"]
        return message

    def _take(self, words: list[HeardWord]) -> None:
        self._turn_words += words
        self.heard += words

    def _step(self, words: list[HeardWord]) -> Iterator[Message]:
        hearing = self._hearing
        told_at = self._told_at
        if self._state is _Turn.AWAITING_END and (words or hearing.speaking):
            self._state = _Turn.ONGOING
            yield self._turn_info("TurnResumed", _ONGOING_CONFIDENCE)
        if words:
            self._take(words)
            if self._state is _Turn.NONE:
                self._state = _Turn.ONGOING
                yield self._turn_info("StartOfTurn", _ONGOING_CONFIDENCE)
        yield from self._endings()
        # A new word is told at once, or it would trail the audio by up to the period of the updates.
        untold = bool(words) and self._told_at == told_at
        if untold or hearing.samples - self._told_at >= hearing.span(_UPDATE_EVERY_MS):
            yield self._turn_info("Update", _ONGOING_CONFIDENCE)

    def _endings(self) -> Iterator[Message]:
        quiet_ms, eager = self._hearing.quiet_ms, self.options.eager_eot_threshold
        if self._state is _Turn.ONGOING and eager is not None and quiet_ms >= self.quiet.eager_ms:
            self._state = _Turn.AWAITING_END
            yield self._turn_info("EagerEndOfTurn", eager)
        if self._state is _Turn.NONE:
            return
        if self.options.eot_threshold < _NEVER and quiet_ms >= self.quiet.end_ms:
            yield self._end("model")
        elif quiet_ms >= self.options.eot_timeout_ms:
            yield self._end("timeout")

    def _end(self, trigger: str) -> Message:
        message = self._turn_info("EndOfTurn", max(self.options.eot_threshold, 0.8), trigger=trigger)
        self._state = _Turn.NONE
        self._turn_words = []
        self._turn_start = self._hearing.samples
        self._turn_index += 1
        return message

    def _turn_info(self, event: str, confidence: float, **more: Any) -> Message:
        hearing = self._hearing
        self._told_at = hearing.samples
        written = [word.text for word in self._turn_words]
        if event in ("StartOfTurn", "Update"):
            written = misheard(written, hearing.utterances, self.finals_differ_every)
        if self.sentences:
            ends = self._state is _Turn.AWAITING_END or event == "EndOfTurn"
            written = punctuate(written, begins=True, ends=ends)
        return self._numbered(
            "TurnInfo",
            event=event,
            turn_index=self._turn_index,
            audio_window_start=hearing.seconds(self._turn_start),
            audio_window_end=hearing.seconds(hearing.samples),
            transcript=" ".join(written),
            words=[
                {
                    "word": as_written,
                    "confidence": _CONFIDENCE,
                    "start": hearing.seconds(word.from_sample),
                    "end": hearing.seconds(word.to_sample),
                }
                for word, as_written in zip(self._turn_words, written, strict=True)
            ],
            end_of_turn_confidence=confidence,
            **more,
        )

    def _numbered(self, kind: str, **fields: Any) -> Message:
        message = {"type": kind, "request_id": self.request_id, "sequence_id": self._sequence, **fields}
        self._sequence += 1
        return message
