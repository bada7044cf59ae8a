"""From text to the phonemes of the built-in voice, and from its durations back to words.

Uses the inside of ``hibari`` (its tokens), which is pinned to one version; a test guards what is relied on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from natter_tts.words import TimedWord

# Durations are counted in frames of 25 ms (the spectrum has two for each).
FRAME_SAMPLES: Final = 600
# The model gets slow and loses its place with more.
_MOST_PHONEMES: Final = 380


@dataclass(frozen=True, slots=True)
class PhonemeWord:
    """A word as it is read, and its phonemes' place in ``Utterance.ids`` (stop excluded)."""

    text: str
    first: int
    stop: int


@dataclass(frozen=True, slots=True)
class Utterance:
    """What the model makes in one run: ids with the pad 0 at both ends."""

    ids: tuple[int, ...]
    words: tuple[PhonemeWord, ...]
    text: str


@dataclass(frozen=True, slots=True)
class _Token:
    text: str
    phonemes: str
    space: bool


def utterances(engine: Any, normalize: Callable[[str], str], said: str) -> list[Utterance]:
    """Cut ``said`` into sentences as the voice wants them and find their phonemes.

    Args:
        engine: a ``hibari.Hibari``.
        normalize: ``hibari.g2p.normalize.normalize``: numbers, dates, money and units into words.
        said: from ``speakable``.
    """
    made: list[Utterance] = []
    for sentence in engine.split_sentences(said):
        tokens = [
            _Token(str(token.text), str(token.phonemes or ""), bool(token.whitespace))
            for token in engine.g2p.phonemize_tokens(engine.g2p.tokenize(normalize(sentence)))
        ]
        made.extend(_utterance(part, engine.vocab) for part in _parts(tokens))
    return [utterance for utterance in made if utterance.words]


def _parts(tokens: list[_Token]) -> list[list[_Token]]:
    """Cut between words so that no part has more phonemes than the model bears, behind punctuation if there is any."""
    parts: list[list[_Token]] = [[]]
    length = 0
    for token in tokens:
        parts[-1].append(token)
        length += len(token.phonemes) + 1
        clause = token.phonemes[-1:] in {",", ";", ":", "—"}
        if token.space and length > (_MOST_PHONEMES // 2 if clause else _MOST_PHONEMES):
            parts.append([])
            length = 0
    return [part for part in parts if part]


def _utterance(tokens: Sequence[_Token], vocabulary: dict[str, int]) -> Utterance:
    ids = [0]
    words: list[PhonemeWord] = []
    text, first, sounds = "", 1, False
    for index, token in enumerate(tokens):
        ids.extend(vocabulary[sign] for sign in token.phonemes if sign in vocabulary)
        text += token.text
        sounds = sounds or any(sign.isalpha() and sign in vocabulary for sign in token.phonemes)
        if token.space or index == len(tokens) - 1:
            if sounds:
                words.append(PhonemeWord(text, first, len(ids)))
            if token.space and index < len(tokens) - 1:
                ids.append(vocabulary[" "])
            text, first, sounds = "", len(ids), False
    ids.append(0)
    return Utterance(tuple(ids), tuple(words), "".join(token.text + " " * token.space for token in tokens))


def word_times(utterance: Utterance, durations: Sequence[float], offset: int, limit: int) -> list[TimedWord]:
    """Where the words lie, given the frames that each id lasts.

    Args:
        utterance: what was said.
        durations: frames for each of ``utterance.ids``.
        offset: added to each time; negative for what was trimmed at the start.
        limit: no time is later.
    """
    ends: list[int] = []
    position = 0
    for frames in durations:
        position += round(frames) * FRAME_SAMPLES
        ends.append(position)

    def at(index: int) -> int:
        return min(limit, max(0, (ends[index - 1] if index else 0) + offset))

    return [TimedWord(word.text, at(word.first), at(word.stop)) for word in utterance.words]
