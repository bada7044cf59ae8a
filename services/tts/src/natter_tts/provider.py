"""What a voice has to be able to do for Natter: one small protocol, one provider a file.

A provider is registered through the entry point group ``natter.tts`` and made without arguments. Voice is 24 kHz mono
s16le, little-endian.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Final, Protocol, runtime_checkable

from natter_common.providers import Provider, ProviderError

ENTRY_POINT_GROUP: Final = "natter.tts"
RATE_HZ: Final = 24_000


@dataclass(frozen=True, slots=True)
class TtsSettings:
    """What a bot may choose: a voice and a model of the provider (empty: its default), 0.5 to 2.0 times the speed."""

    voice: str = ""
    speed: float = 1.0
    language: str = "en"
    model: str = ""


@dataclass(frozen=True, slots=True)
class SpokenWord:
    """A word of a segment's shown text and where it lies in the segment, in samples.

    The words of a segment are its ``text`` split at white space, each once and in order, those that are not spoken
    (URLs, emoji) too: the text that was heard is an exact part of the text that was shown.
    """

    text: str
    from_sample: int
    to_sample: int
    estimated: bool = False


@dataclass(frozen=True, slots=True)
class VoiceChunk:
    """A piece of a segment's voice.

    Attributes:
        first_sample: where it begins in the segment.
        pcm: s16le, 480 samples in the first chunk, up to 4,800 in later ones; may be empty in the last.
        words: those that begin in this chunk (or, without sound, at the segment's end); the first word of a segment may
            come with the chunk behind that.
        end: nothing follows; then ``total_samples`` is how many samples the segment has.
    """

    first_sample: int
    pcm: bytes
    words: tuple[SpokenWord, ...] = ()
    end: bool = False
    total_samples: int = 0


class TtsError(ProviderError):
    """A synthesis that failed."""


class TtsStream(Protocol):
    """One session's voice. Segments are made one after the other."""

    def synthesize(self, text: str, spoken: str, *, attempt: str, last: bool) -> AsyncGenerator[VoiceChunk, None]:
        """Yield the voice of one segment, the last chunk with ``end``. ``aclose()`` or cancellation stops it at once.

        The segment starts at most 20 ms before its first sound and ends with the pause of its punctuation. What was
        yielded ends with a whole word at any time: after a fault another provider says the rest, nothing twice. Before
        the first word is whole there may be 40 ms of it: too little to be heard as a word.

        Args:
            text: as shown; the words of the chunks are of it.
            spoken: what to say; without any letter or digit the segment has no samples.
            attempt: the same for all segments of one reply.
            last: no segment follows, as far as is known.

        Raises TtsError, also in the middle.
        """
        ...

    async def close(self) -> None:
        """Free what the session holds."""
        ...


@runtime_checkable
class LooksAhead(Protocol):
    """A stream that can use the text of the next segment before the one that is being made is whole."""

    def expect(self, text: str, spoken: str, *, attempt: str) -> None:
        """`synthesize` will be called with this next, unless the attempt dies. May be repeated, and does not block."""
        ...


@runtime_checkable
class TtsProvider(Provider, Protocol):
    """A voice. One instance serves all sessions of a worker, from one event loop."""

    def open(self, settings: TtsSettings) -> TtsStream:
        """Open a session's voice. Raises TtsError when the settings cannot be met. Does not block."""
        ...
