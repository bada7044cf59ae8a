"""What emulated stages say and hear, and how fast."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from natter_proto import Word

UTTERANCES: Final = (
    "What is the capital of France?",
    "Can you tell me something about the moon?",
    "How many days are there in a week?",
    "Why is the sky blue in the daytime?",
    "How do I make a good cup of tea?",
)
"""What recognition understands, one after the other."""

SENTENCES: Final = (
    "That is a good question, and I am glad that you asked me.",
    "Most people would tell you that it depends on the weather.",
    "I would begin with something small and see how it goes.",
    "There is always time for another cup of tea, isn't there?",
    "Tell me more about it, and we will find an answer together.",
    "In the end it is all much simpler than it looks at first.",
)
"""What the language model says."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast the emulated stages are, and how much they say."""

    transcription_ms: int = 75
    """From a finalize whose audio is there to its final."""
    first_token_ms: int = 100
    words_per_s: float = 30.0
    """Of the language model; each word is a delta of its own."""
    sentences: int = 2
    """In a reply."""
    first_audio_ms: int = 30
    """From a segment to its first voice; the rest follows in one burst."""
    letters_per_s: float = 14.0
    """Of the voice: 14 is how people speak."""


def utterance(number: int) -> str:
    return UTTERANCES[number % len(UTTERANCES)]


def reply(turn: int, sentences: int) -> list[str]:
    """Another reply each turn."""
    return [SENTENCES[(turn * sentences + index) % len(SENTENCES)] for index in range(sentences)]


def spread_words(text: str, from_sample: int, to_sample: int) -> list[Word]:
    """The words of `text`, each as long as its letters say."""
    words: list[Word] = []
    letters = max(1, len(text))
    position = 0
    for word in text.split():
        begin = from_sample + (to_sample - from_sample) * position // letters
        position = min(letters, position + len(word) + 1)
        end = from_sample + (to_sample - from_sample) * position // letters
        words.append(Word(text=word, from_sample=begin, to_sample=end, confidence=1.0, estimated=True))
    return words


def first_words(text: str, count: int) -> str:
    """The beginning of a text, as an interim has it."""
    words: Sequence[str] = text.split()
    return " ".join(words[:count])
