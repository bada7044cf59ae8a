"""Times of characters, as ElevenLabs tells them."""

import pytest

from natter_emulators.alignment import alignment, timed_chars
from natter_emulators.marks import speak

RATE_HZ = 24_000
TEXTS = [" Hello there,  my friend – yes! ", "It is 42 degrees.", "no", "  "]


@pytest.mark.parametrize("text", TEXTS)
def test_every_character_has_its_time_and_they_follow_each_other(text: str) -> None:
    speech = speak(text, RATE_HZ)
    chars = timed_chars(text, speech)
    assert "".join(char.char for char in chars) == text
    samples = [edge for char in chars for edge in (char.from_sample, char.to_sample)]
    assert samples == sorted(samples)
    assert all(edge <= len(speech.pcm) for edge in samples)


def test_letters_lie_over_their_words() -> None:
    text = "yes please do"
    speech = speak(text, RATE_HZ)
    chars = timed_chars(text, speech)
    for word, begins in zip(speech.words, (0, 4, 11), strict=True):
        assert chars[begins].from_sample == word.from_sample
        assert chars[begins + len(word.text) - 1].to_sample == word.to_sample


@pytest.mark.parametrize("piece_ms", [70, 100, 350, 5_000])
def test_messages_together_tell_all_characters_once(piece_ms: int) -> None:
    text = TEXTS[0]
    speech = speak(text, RATE_HZ)
    chars = timed_chars(text, speech)
    step = RATE_HZ * piece_ms // 1000
    told = ""
    for start in range(0, len(speech.pcm), step):
        piece = alignment(chars, start, start + step, RATE_HZ)
        if piece is None:
            continue
        told += "".join(piece["chars"])
        assert all(0 <= begin < piece_ms for begin in piece["charStartTimesMs"])
        assert all(duration >= 0 for duration in piece["charDurationsMs"])
    assert told == text


def test_a_piece_in_which_no_character_begins_has_no_alignment() -> None:
    speech = speak("yes", RATE_HZ)
    assert alignment(timed_chars("yes", speech), 100, 200, RATE_HZ) is None
