"""Lays what a voice said, with its times, over the words of the text as shown. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from natter_tts.provider import SpokenWord


@dataclass(frozen=True, slots=True)
class TimedWord:
    """A word as the voice read it ("three", "dollars"), in samples of the segment."""

    text: str
    from_sample: int
    to_sample: int


def place_words(text: str, said: Sequence[TimedWord], *, estimated: bool = False) -> tuple[SpokenWord, ...]:
    """Times for the words of ``text``, all of them, in order and without overlap.

    Where the voice read something else than what is shown ("$3.50"), the times of what it read are spread over the
    shown words by their letters. A word that was not spoken lies, without length, at the end of the word before it.
    """
    shown = text.split()
    placed: list[SpokenWord] = []
    position = said[0].from_sample if said else 0

    def put(word: str, begin: int, end: int, *, spread: bool) -> None:
        nonlocal position
        begin = max(begin, position)
        position = max(end, begin)
        placed.append(SpokenWord(word, begin, position, estimated or spread))

    matcher = SequenceMatcher(
        None, [letters(word) for word in shown], [letters(word.text) for word in said], autojunk=False
    )
    for kind, first, stop, said_first, said_stop in matcher.get_opcodes():
        words, times = shown[first:stop], said[said_first:said_stop]
        if kind == "equal":
            for word, time in zip(words, times, strict=True):
                put(word, time.from_sample, time.to_sample, spread=False)
        elif kind == "replace":
            begin, end = times[0].from_sample, times[-1].to_sample
            weights = [max(1, len(letters(word))) if letters(word) else 0 for word in words]
            total, passed = sum(weights) or 1, 0
            for word, weight in zip(words, weights, strict=True):
                word_begin = begin + (end - begin) * passed // total
                passed += weight
                put(word, word_begin, begin + (end - begin) * passed // total, spread=True)
        elif kind == "delete":
            for word in words:
                put(word, position, position, spread=True)
        elif placed:
            # Said, but not shown: it belongs to the word before.
            before = placed[-1]
            position = max(position, times[-1].to_sample)
            placed[-1] = SpokenWord(before.text, before.from_sample, position, estimated=True)
    return tuple(placed)


def share_words(text: str, said: Sequence[Sequence[str]]) -> list[str]:
    """Share the words of ``text`` out among utterances, given the words that each of them says.

    A word that is not spoken goes with the word before it.
    """
    shown = text.split()
    keys = [letters(word) for utterance in said for word in utterance]
    matcher = SequenceMatcher(None, [letters(word) for word in shown], keys, autojunk=False)
    blocks = matcher.get_opcodes()
    shares: list[str] = []
    begin, said_end = 0, 0
    for utterance in said[:-1]:
        said_end += len(utterance)
        end = begin
        for _, first, stop, said_first, said_stop in blocks:
            if said_stop <= said_end:
                end = max(end, stop)
            elif said_first < said_end:
                share = (stop - first) * (said_end - said_first) // (said_stop - said_first)
                end = max(end, first + share)
        shares.append(" ".join(shown[begin:end]))
        begin = end
    shares.append(" ".join(shown[begin:]))
    return shares


def spread_words(spoken: str, from_sample: int, to_sample: int) -> list[TimedWord]:
    """Times for the words of ``spoken`` by their letters alone, for voices that tell nothing better."""
    words = spoken.split()
    # One for the gap between words.
    weights = [1 + len(letters(word)) for word in words]
    total, passed = sum(weights) or 1, 0
    timed: list[TimedWord] = []
    for word, weight in zip(words, weights, strict=True):
        begin = from_sample + (to_sample - from_sample) * passed // total
        passed += weight
        timed.append(TimedWord(word, begin, from_sample + (to_sample - from_sample) * passed // total))
    return timed


def letters(word: str) -> str:
    """What of ``word`` is compared: its letters and digits, in lower case."""
    return "".join(character for character in word.lower() if character.isalnum())
