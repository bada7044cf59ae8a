"""What a recognition emulator knows of the audio it got: the marked words, and how long it has been quiet."""

from __future__ import annotations

from collections.abc import Iterator

from natter_emulators.marks import HeardWord, MarkListener

BYTES_PER_SAMPLE = 2
# Rules about pauses are applied at this grain, however much audio a message carries.
_STEP_MS = 20
# A word has to sound for a while before it is noticed: only after so much quiet has none begun.
_SURELY_QUIET_MS = 100
# About the longest pause inside a sentence: what follows a longer one was said by itself.
_UTTERANCES_APART_MS = 1000


class Hearing:
    """Listens to one stream (s16le, mono) and keeps count.

    Attributes:
        rate_hz: of the stream.
        utterances: how many began: a word after a second without any begins one, whoever asked for finals meanwhile.
    """

    def __init__(self, rate_hz: int) -> None:
        """Raises:
        ValueError: a rate at which marks cannot be heard.
        """
        self.rate_hz = rate_hz
        self._listener = MarkListener(rate_hz)
        self._last_word_end = 0
        self._received = 0
        self.utterances = 0

    @property
    def samples(self) -> int:
        """Heard so far."""
        return self._listener.samples

    def steps(self, pcm: bytes) -> Iterator[list[HeardWord]]:
        """Listen to audio of any length, 20 ms at a time; yields the words that each step completed."""
        self._received += len(pcm) // BYTES_PER_SAMPLE
        step_bytes = self.rate_hz * _STEP_MS // 1000 * BYTES_PER_SAMPLE
        for at in range(0, len(pcm), step_bytes):
            yield self._told(self._listener.feed(pcm[at : at + step_bytes]))

    def end(self) -> list[HeardWord]:
        """The stream is over: the word that its end cut off, if any."""
        return self._told(self._listener.finish())

    def _told(self, words: list[HeardWord]) -> list[HeardWord]:
        for word in words:
            if not self.utterances or word.from_sample - self._last_word_end >= self.span(_UTTERANCES_APART_MS):
                self.utterances += 1
            self._last_word_end = word.to_sample
        return words

    @property
    def since_word_ms(self) -> float:
        """Audio received after the end of the newest word that was told, that of the message in hand included."""
        return (self._received - self._last_word_end) * 1000 / self.rate_hz

    @property
    def speaking(self) -> bool:
        """A word is being heard right now."""
        return self._listener.pending is not None

    @property
    def quiet_ms(self) -> int:
        """Since the end of the last word; 0 while one is being heard."""
        return 0 if self.speaking else (self.samples - self._last_word_end) * 1000 // self.rate_hz

    @property
    def settled(self) -> int:
        """The sample before which no word is left to be told: in a word, or just after one, the end of the last."""
        return self.samples if self.quiet_ms >= _SURELY_QUIET_MS else self._last_word_end

    def seconds(self, sample: int) -> float:
        """A place in the stream in seconds, rounded as services do."""
        return round(sample / self.rate_hz, 3)

    def span(self, milliseconds: int) -> int:
        """A duration in samples."""
        return self.rate_hz * milliseconds // 1000
