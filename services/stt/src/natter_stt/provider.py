"""What a recognizer has to offer to be a provider of speech to text: one small protocol, one file a provider.

A provider is made once per worker, loads or connects in `load`, and opens a stream for each session. The service feeds
the stream what the session hears and passes on what the stream says; everything about NATS stays outside.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from natter_common.providers import Provider, ProviderError

SAMPLE_RATE_HZ = 16_000
BYTES_PER_SAMPLE = 2

# The entry point group that providers register in: `name = "module:Class"`, the class made without arguments.
ENTRY_POINT_GROUP = "natter.stt"


class SpeechEnds(enum.Enum):
    """How a provider gets to know that speech is over."""

    FINALIZE = "finalize"
    """It is told: `SttStream.finalize` closes everything through a sample."""
    ENDPOINT = "endpoint"
    """It finds out by listening to the silence, which has to keep flowing; finalize requests only wait for it."""
    TURNS = "turns"
    """It decides about turns itself."""


class TurnSign(enum.Enum):
    """What a provider that decides about turns (`SpeechEnds.TURNS`) says with a transcript."""

    NONE = "none"
    EAGER_END = "eager_end"
    """The turn is probably over: an answer may be prepared on these words."""
    RESUMED = "resumed"
    """It was not over."""
    END = "end"
    """It is over; comes with its final."""


@dataclass(frozen=True, slots=True)
class Word:
    """A word and where it lies, in samples of the session (16 kHz).

    Attributes:
        text: with the punctuation that belongs to it.
        from_sample: where it begins.
        to_sample: the sample after it.
        confidence: 0..1; 0 where the provider tells none.
        estimated: the times were spread over the letters, not measured.
    """

    text: str
    from_sample: int
    to_sample: int
    confidence: float = 0.0
    estimated: bool = False


@dataclass(frozen=True, slots=True)
class Transcript:
    """What was said, as far as it is known.

    Attributes:
        words: an interim's are all since the last final; a final's are its own.
        final: nothing of it changes any more.
        through_sample: everything before this sample is in this transcript or in an earlier final.
        finalize_id: the request that this final answers; 0 for none.
        revision: counts the interims since the last final, from 1; 0 for a final.
        took_ms: time that the provider took for this text.
        language: as a two-letter code.
        sign: of providers that decide about turns.
    """

    words: tuple[Word, ...]
    final: bool
    through_sample: int
    finalize_id: int = 0
    revision: int = 0
    took_ms: float = 0.0
    language: str = "en"
    sign: TurnSign = TurnSign.NONE

    @property
    def text(self) -> str:
        """The words joined by spaces."""
        return " ".join(word.text for word in self.words)


class SttError(ProviderError):
    """A stream that can't go on, or a recognizer that can't be had."""


def first_error(group: BaseExceptionGroup[SttError]) -> SttError:
    """The first of those that a stream's tasks ended with."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, SttError)  # noqa: S101 - for the type checker: the group holds nothing else
    return error


class BadSettingsError(ValueError):
    """A bot's settings that this provider can't serve; the text says which."""


@dataclass(frozen=True, slots=True)
class StreamSettings:
    """What a bot may set, and where a stream begins.

    Attributes:
        from_sample: nothing before it is transcribed: the end of the last word of the last final.
        language: two-letter code.
        model: the provider's name of a model; None for its default.
        interim_interval_ms: about how often an interim is wanted while somebody speaks; 0 for none.
        keyterms: names and terms to expect.
    """

    from_sample: int = 0
    language: str = "en"
    model: str | None = None
    interim_interval_ms: int = 500
    keyterms: tuple[str, ...] = ()


Emit = Callable[[Transcript], None]
"""Takes what a stream says, in order. Called on the event loop; does not block and does not raise."""


class SttStream(Protocol):
    """One session's recognition. All methods are called on the event loop, and only `run` may take time."""

    def feed(self, first_sample: int, pcm: bytes) -> None:
        """The next samples of the microphone (s16le, 16 kHz, mono). What is missing before them is missing for good."""
        ...

    def speech(self, from_sample: int, *, speaking: bool) -> None:
        """What vad found: somebody speaks since `from_sample`, or not any more. May be said repeatedly."""
        ...

    def finalize(self, finalize_id: int, through_sample: int) -> None:
        """Close everything through a sample, which may not have come yet. One final with this id answers it."""
        ...

    async def run(self) -> None:
        """The stream's own work until it is cancelled.

        Raises:
            SttError: the stream can't go on.
        """
        ...


@runtime_checkable
class SttProvider(Provider, Protocol):
    """A recognizer, one object per worker."""

    @property
    def speech_ends(self) -> SpeechEnds:
        """How it gets to know that speech is over."""
        ...

    @property
    def final_within_ms(self) -> int:
        """How long a finalize may go unanswered before the stream counts as stuck."""
        ...

    # A class that names `SttProvider` as its base may leave these three out.

    @property
    def early_final(self) -> bool:
        """Closing in the middle of a sentence costs it nothing: it is asked to at a dip, and not only at a pause."""
        return False

    @property
    def stable_interims(self) -> bool:
        """An interim that has heard everything says what the final will say: an answer may be prepared on it."""
        return False

    @property
    def final_grace_ms(self) -> int:
        """How long its final is waited for once the turn is over; then the interim counts. 0: the conductor's 300."""
        return 0

    def open(self, settings: StreamSettings, emit: Emit) -> SttStream:
        """A stream for one session; raises `BadSettingsError`. Must not block."""
        ...
