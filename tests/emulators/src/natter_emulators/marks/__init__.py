"""Words that can be counted: speech with a tone pair per word, and an ear for it."""

from natter_emulators.marks.caller import caller_speech
from natter_emulators.marks.count import WordCount, count_words
from natter_emulators.marks.lexicon import LEXICON, spoken_words
from natter_emulators.marks.listen import HeardWord, MarkListener, hear, heard_text
from natter_emulators.marks.synthetic import MarkedSpeech, MarkedWord, speak

__all__ = [
    "LEXICON",
    "HeardWord",
    "MarkListener",
    "MarkedSpeech",
    "MarkedWord",
    "WordCount",
    "caller_speech",
    "count_words",
    "hear",
    "heard_text",
    "speak",
    "spoken_words",
]
