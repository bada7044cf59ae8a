"""Deepgram's streaming recognition (`/v1/listen`) without the network: audio and control in, messages out.

After https://developers.deepgram.com/reference/speech-to-text/listen-streaming and the types of `deepgram-sdk` 7.17.
All times are of the audio: how late a message is sent is the socket's business.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from natter_emulators.hearing import Hearing
from natter_emulators.marks import HeardWord
from natter_emulators.misheard import misheard
from natter_emulators.punctuation import punctuate

Message = dict[str, Any]

# The service's own speech detection does not see shorter gaps, whatever `endpointing` asks for.
_SHORTEST_PAUSE_MS: Final = 150
# A final comes at the latest after this much speech, and an empty one after this much silence.
_LONGEST_SEGMENT_MS: Final = 4_000
_EMPTY_FINAL_EVERY_MS: Final = 5_000
# A finalize with less audio than this since the last final is not answered: the service does not promise it.
_WORTH_FINALIZING_MS: Final = 60
_CONFIDENCE: Final = 0.98
_MODEL_UUID: Final = "6b28e919-8427-4f32-9847-492e2efd7daf"
_KEYTERM_MODELS: Final = "nova-3"


class BadQueryError(ValueError):
    """A query that the service answers with 400; the text is its `err_msg`."""


@dataclass(frozen=True, slots=True)
class ListenOptions:
    """The part of the query that changes what comes back.

    Attributes:
        endpointing_ms: quiet that ends an utterance (`speech_final`); None for never.
        utterance_end_ms: quiet that brings `UtteranceEnd`; None for never.
        punctuate: asked for, or `smart_format`, which has it in it.
    """

    model: str = "nova-3"
    rate_hz: int = 16_000
    interim_results: bool = False
    endpointing_ms: int | None = 10
    utterance_end_ms: int | None = None
    vad_events: bool = False
    punctuate: bool = False

    @classmethod
    def from_query(cls, query: Mapping[str, str]) -> ListenOptions:
        """Raises:
        BadQueryError: what the real service refuses, or what this one cannot hear.
        """
        model = query.get("model", "base")
        if model.startswith("flux"):
            raise BadQueryError(f"Bad Request: model {model} is only available on /v2/listen.")
        if query.get("encoding") not in ("linear16", "s16le"):
            raise BadQueryError("Bad Request: the emulator hears encoding=linear16 only.")
        if query.get("channels", "1") != "1":
            raise BadQueryError("Bad Request: the emulator hears one channel only.")
        interim = _yes(query, "interim_results")
        endpointing = query.get("endpointing", "10").lower()
        utterance_end = query.get("utterance_end_ms")
        if utterance_end is not None and (number(utterance_end, "utterance_end_ms") < 1000 or not interim):
            raise BadQueryError("Bad Request: utterance_end_ms needs interim_results=true and is 1000 or more.")
        return cls(
            model=model,
            rate_hz=number(query.get("sample_rate", ""), "sample_rate"),
            interim_results=interim,
            endpointing_ms=None if endpointing == "false" else number(endpointing.replace("true", "10"), "endpointing"),
            utterance_end_ms=None if utterance_end is None else number(utterance_end, "utterance_end_ms"),
            vad_events=_yes(query, "vad_events"),
            punctuate=_yes(query, "punctuate") or _yes(query, "smart_format"),
        )


def _yes(query: Mapping[str, str], name: str) -> bool:
    return query.get(name, "false").lower() == "true"


def number(text: str, name: str) -> int:
    """A positive number of a query, or the service's complaint about it."""
    if not text.isdecimal() or int(text) == 0:
        raise BadQueryError(f"Bad Request: failed to parse query parameter {name}.")
    return int(text)


def within(given: Any, least: float, most: float, name: str) -> float:
    """A number of a query or a message, or the service's complaint about it."""
    try:
        value = float(given)
    except (TypeError, ValueError):
        value = -1.0
    if not least <= value <= most:
        raise BadQueryError(f"Bad Request: {name} has to be between {least:g} and {most:g}.")
    return value


@dataclass
class Listen:
    """One stream: what has been heard since the last final, and the rules by which it is told.

    Attributes:
        heard: every word of the stream, in order.
        sentences: where punctuation was asked for, write sentences; else words stay as they were heard.
        finals_differ_every: as in `Script`.
    """

    options: ListenOptions
    request_id: str
    heard: list[HeardWord] = field(default_factory=list[HeardWord])
    sentences: bool = False
    finals_differ_every: int = 0

    def __post_init__(self) -> None:
        self._hearing = Hearing(self.options.rate_hz)
        self._digest = hashlib.sha256()
        self._segment: list[HeardWord] = []
        self._segment_start = 0
        self._told_words = 0
        self._in_utterance = False
        self._utterance_end_due = False
        self._begins_sentence = True

    @property
    def mid_word(self) -> bool:
        """A word is being heard right now."""
        return self._hearing.speaking

    @property
    def since_word_ms(self) -> float:
        """Audio received since the end of the newest word."""
        return self._hearing.since_word_ms

    def feed(self, pcm: bytes) -> Iterator[Message]:
        """The next audio; yields what the service has to say about it."""
        self._digest.update(pcm)
        for words in self._hearing.steps(pcm):
            yield from self._step(words)

    def finalize(self) -> Iterator[Message]:
        """`Finalize`: all words that are complete, now. Nothing when next to no audio came since the last final."""
        if self._hearing.samples - self._segment_start >= self._hearing.span(_WORTH_FINALIZING_MS):
            yield self._final(speech_final=True, from_finalize=True)

    def close(self) -> Iterator[Message]:
        """`CloseStream`: what is left, and the metadata."""
        self._take(self._hearing.end())
        if self._segment:
            yield self._final(speech_final=True)
        yield self._metadata()

    def configure(self, message: Mapping[str, Any]) -> Message:
        """`Configure`: keyterms are taken over by the models that have them."""
        keyterms = message.get("keyterms")
        if keyterms is not None and not self.options.model.startswith(_KEYTERM_MODELS):
            return {
                "type": "ConfigureFailure",
                "request_id": self.request_id,
                "code": "CONFIGURE_KEYTERMS_NOT_SUPPORTED",
                "description": f"Keyterms cannot be changed for model {self.options.model}.",
            }
        told = {} if keyterms is None else {"keyterms": keyterms}
        return {"type": "ConfigureSuccess", "request_id": self.request_id, **told}

    def _take(self, words: list[HeardWord]) -> None:
        self._segment += words
        self.heard += words

    def _step(self, words: list[HeardWord]) -> Iterator[Message]:
        hearing = self._hearing
        if (hearing.speaking or words) and not self._in_utterance:
            self._in_utterance = True
            if self.options.vad_events:
                yield {"type": "SpeechStarted", "channel": [0], "timestamp": hearing.seconds(hearing.samples)}
        if words:
            self._take(words)
            self._utterance_end_due = True
        yield from self._finals(words)
        # Each new word at once, so that what is told never trails the audio by more than it is said to. A service that
        # looks at its audio at fixed times would tell the last word late, by up to its period; real ones hurry when the
        # speech ends. Words come three or four times a second, which is about how often interims come.
        if self.options.interim_results and len(self._segment) > self._told_words:
            self._told_words = len(self._segment)
            yield self._results(is_final=False)
        if self._utterance_end_due and hearing.quiet_ms >= (self.options.utterance_end_ms or 1 << 30):
            self._utterance_end_due = False
            end = hearing.seconds(self.heard[-1].to_sample)
            yield {"type": "UtteranceEnd", "channel": [0, 1], "last_word_end": end}

    def _finals(self, words: list[HeardWord]) -> Iterator[Message]:
        hearing = self._hearing
        pause_ms = self.options.endpointing_ms
        if pause_ms is not None and self._in_utterance and hearing.quiet_ms >= max(pause_ms, _SHORTEST_PAUSE_MS):
            if self.heard:
                yield self._final(speech_final=True)
            self._in_utterance = False
        elif self._long_speech(words) or self._long_silence():
            yield self._final(speech_final=False)

    def _long_speech(self, words: list[HeardWord]) -> bool:
        """A word has just ended, far from the first that no final has told."""
        longest = self._hearing.span(_LONGEST_SEGMENT_MS)
        return bool(words) and self._hearing.samples - self._segment[0].from_sample >= longest

    def _long_silence(self) -> bool:
        longest = self._hearing.span(_EMPTY_FINAL_EVERY_MS)
        quiet = not self._segment and not self._hearing.speaking
        return quiet and self._hearing.samples - self._segment_start >= longest

    def _final(self, *, speech_final: bool, from_finalize: bool = False) -> Message:
        message = self._results(is_final=True, speech_final=speech_final, from_finalize=from_finalize)
        self._segment = []
        self._told_words = 0
        self._segment_start = self._segment_end(is_final=True)
        self._in_utterance = self._in_utterance and not speech_final
        self._begins_sentence = speech_final
        return message

    def _segment_end(self, *, is_final: bool) -> int:
        """A final leaves the word that is being heard to the next one."""
        return max(self._hearing.settled, self._segment_start) if is_final else self._hearing.samples

    def _results(self, *, is_final: bool, speech_final: bool = False, from_finalize: bool = False) -> Message:
        hearing = self._hearing
        written = [word.text for word in self._segment]
        if not is_final:
            written = misheard(written, hearing.utterances, self.finals_differ_every)
        bare = written
        if self.options.punctuate and self.sentences:
            written = punctuate(written, begins=self._begins_sentence, ends=speech_final)
        words: list[Message] = [
            {
                "word": as_heard,
                "start": hearing.seconds(word.from_sample),
                "end": hearing.seconds(word.to_sample),
                "confidence": _CONFIDENCE,
                **({"punctuated_word": as_written} if self.options.punctuate else {}),
            }
            for word, as_heard, as_written in zip(self._segment, bare, written, strict=True)
        ]
        alternative: Message = {
            "transcript": " ".join(written),
            "confidence": _CONFIDENCE if words else 0.0,
            "words": words,
        }
        return {
            "type": "Results",
            "channel_index": [0, 1],
            "duration": hearing.seconds(self._segment_end(is_final=is_final) - self._segment_start),
            "start": hearing.seconds(self._segment_start),
            "is_final": is_final,
            "speech_final": speech_final,
            "channel": {"alternatives": [alternative]},
            "metadata": {
                "request_id": self.request_id,
                "model_info": self._model_info(),
                "model_uuid": _MODEL_UUID,
            },
            "from_finalize": from_finalize,
        }

    def _model_info(self) -> Message:
        return {"name": self.options.model, "version": "2026-01-01.0", "arch": "nova-3"}

    def _metadata(self) -> Message:
        return {
            "type": "Metadata",
            "transaction_key": "deprecated",
            "request_id": self.request_id,
            "sha256": self._digest.hexdigest(),
            "created": "2026-01-01T00:00:00.000Z",
            "duration": self._hearing.seconds(self._hearing.samples),
            "channels": 1,
            "models": [_MODEL_UUID],
            "model_info": {_MODEL_UUID: self._model_info()},
        }
