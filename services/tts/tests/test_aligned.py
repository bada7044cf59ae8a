"""Voice that comes with a time for each character, given out by whole words."""

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from natter_tts.aligned import HEAD_START_SAMPLES, AlignedSegment, TimedCharacter
from natter_tts.provider import RATE_HZ, VoiceChunk
from natter_tts.shape import FRAME_SAMPLES

CHARACTER_MS = 60


def voice(text: str) -> tuple[bytes, list[TimedCharacter]]:
    """Every character takes 60 ms: a tone where it is said, silence where it is a space."""
    pieces: list[bytes] = []
    characters: list[TimedCharacter] = []
    samples = CHARACTER_MS * RATE_HZ // 1000
    tone = np.rint(8000 * np.sin(2 * np.pi * 300 * np.arange(samples) / RATE_HZ)).astype("<i2").tobytes()
    for n, character in enumerate(text):
        pieces.append(bytes(2 * samples) if character.isspace() else tone)
        characters.append(TimedCharacter(character, n * CHARACTER_MS, (n + 1) * CHARACTER_MS))
    return b"".join(pieces), characters


def messages(text: str, cuts: list[int]) -> list[tuple[bytes, list[TimedCharacter]]]:
    """`text` in messages that end at `cuts`, the times of each counted from its own beginning."""
    borders = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})
    return [voice(text[begin:end]) for begin, end in pairwise(borders)]


def check(chunks: list[VoiceChunk]) -> int:
    """Chunks join, words begin in theirs; returns how many samples they have."""
    position = 0
    for chunk in chunks:
        assert chunk.first_sample == position
        position += len(chunk.pcm) // 2
        if chunk.pcm:
            assert len(chunk.pcm) % (2 * FRAME_SAMPLES) == 0
            assert all(word.from_sample < position for word in chunk.words)
    return position


SPEEDS = st.sampled_from([0.0, 2.0, 8.0, 100.0])


@given(st.lists(st.integers(1, 60), max_size=8), SPEEDS)
def test_all_words_once_with_true_times_however_it_is_cut_into_messages(cuts: list[int], speed: float) -> None:
    text = "Hello there, how are you?"
    segment = AlignedSegment(text, text, speed)
    chunks: list[VoiceChunk] = []
    for pcm, characters in messages(text + " ", cuts):
        assert not segment.sounded_out
        chunks += segment.feed(pcm, characters)
        if segment.sounded_out:
            break
    assert segment.whole
    chunks += segment.finish()
    total = check(chunks)
    assert chunks[-1].end
    assert chunks[-1].total_samples == total
    words = [word for chunk in chunks for word in chunk.words]
    assert [word.text for word in words] == text.split()
    starts = [n for n, (a, b) in enumerate(zip(" " + text, text, strict=False)) if a == " " and b != " "]
    for word, start in zip(words, starts, strict=True):
        assert abs(word.from_sample - start * CHARACTER_MS * RATE_HZ // 1000) <= RATE_HZ // 1000
        assert not word.estimated
    # 250 ms behind the last sound.
    assert abs(total / RATE_HZ - (len(text) * CHARACTER_MS + 250) / 1000) < 0.04


@given(st.lists(st.integers(1, 60), max_size=8), st.integers(0, 8))
def test_what_a_cut_leaves_ends_with_a_whole_word(cuts: list[int], kept: int) -> None:
    text = "Hello there, how are you?"
    segment = AlignedSegment(text, text)
    chunks: list[VoiceChunk] = []
    said = 0
    for pcm, characters in messages(text + " ", cuts)[:kept]:
        said += len(characters)
        ready = segment.feed(pcm, characters)
        chunks += ready
        words = [word for chunk in chunks for word in chunk.words]
        # The words that were given out are complete, and so is (but for a frame) their voice.
        assert all(text[:said].split().index(word.text) >= 0 for word in words if word.text.isalpha())
        if ready:
            assert 0 <= words[-1].to_sample - check(chunks) < FRAME_SAMPLES
    chunks += segment.cut()
    words = [word for chunk in chunks for word in chunk.words]
    assert [word.text for word in words] == text.split()[: len(words)]
    total = check(chunks)
    assert (total - words[-1].to_sample if words else 0) in range(FRAME_SAMPLES)
    assert total == 0 if not words else total > 0


def test_silence_at_the_start_is_left_out() -> None:
    text = "Yes."
    segment = AlignedSegment(text, text)
    lead = bytes(2 * RATE_HZ // 2)
    pcm, characters = voice(text)
    shifted = [TimedCharacter(c.text, c.from_ms + 500, c.to_ms + 500) for c in characters]
    chunks = segment.feed(lead + pcm, shifted)
    chunks += segment.finish()
    samples = np.frombuffer(b"".join(chunk.pcm for chunk in chunks), "<i2")
    assert int(np.flatnonzero(np.abs(samples) > 200)[0]) <= RATE_HZ * 20 // 1000
    assert chunks[0].words[0].from_sample <= RATE_HZ * 20 // 1000


def test_shown_words_that_are_said_otherwise_share_the_times() -> None:
    spoken = "It costs five dollars today."
    segment = AlignedSegment("It costs **$5** 😀 today.", spoken)
    chunks: list[VoiceChunk] = []
    for pcm, characters in messages(spoken, [7, 15, 23]):
        chunks += segment.feed(pcm, characters)
    assert segment.whole
    chunks += segment.finish()
    words = [word for chunk in chunks for word in chunk.words]
    assert [word.text for word in words] == ["It", "costs", "**$5**", "😀", "today."]
    assert words[2].from_sample >= 9 * CHARACTER_MS * RATE_HZ // 1000 - RATE_HZ // 1000
    assert words[4].from_sample >= 22 * CHARACTER_MS * RATE_HZ // 1000 - RATE_HZ // 1000
    check(chunks)


def test_other_letters_than_asked_for_are_held_back_to_the_end() -> None:
    segment = AlignedSegment("I have 42 cats.", "I have 42 cats.")
    pcm, characters = voice("I have forty two cats.")
    chunks = segment.feed(pcm, characters)
    assert not segment.matched
    assert not segment.whole
    chunks += segment.feed(*voice(" "))
    assert segment.cut() == []
    chunks += segment.finish()
    words = [word for chunk in chunks for word in chunk.words]
    assert [word.text for word in words] == ["I", "have", "42", "cats."]
    assert all(word.to_sample <= chunks[-1].total_samples for word in words)
    assert words[2].to_sample - words[2].from_sample > RATE_HZ // 4
    check(chunks)


def test_voice_without_any_times_is_given_out_at_the_end() -> None:
    segment = AlignedSegment("One two.", "One two.")
    pcm, _ = voice("One two.")
    assert segment.feed(pcm, []) == []
    assert not segment.matched
    chunks = segment.finish()
    words = [word for chunk in chunks for word in chunk.words]
    assert [word.text for word in words] == ["One", "two."]
    assert all(word.estimated for word in words)
    assert words[1].to_sample > words[0].to_sample > 0
    check(chunks)


def test_nothing_to_say_has_no_samples() -> None:
    segment = AlignedSegment("😀 —", "")
    assert not segment.has_letters
    (end,) = segment.finish()
    assert end.end
    assert end.total_samples == 0
    assert [word.text for word in end.words] == ["😀", "—"]


def test_the_first_word_is_begun_when_its_rest_will_come_in_time() -> None:
    text = "Wonderful news."

    def given_out(speed: float) -> list[int]:
        segment = AlignedSegment(text, text, speed)
        return [
            sum(len(chunk.pcm) // 2 for chunk in segment.feed(pcm, characters))
            for pcm, characters in messages(text, [2, 4, 6, 8, 10])
        ]

    assert given_out(0.0)[:4] == [0, 0, 0, 0]
    # At 70 ms a letter and 120 ms a piece the rest needs 52 ms behind the second piece, 37 behind the third.
    assert given_out(9.0)[:4] == [0, 0, HEAD_START_SAMPLES, 0]
    assert given_out(100.0)[:4] == [HEAD_START_SAMPLES, 0, 0, 0]
    assert len({sum(given_out(speed)) for speed in (0.0, 9.0, 100.0)}) == 1


def test_of_a_first_word_that_breaks_off_there_is_too_little_to_be_heard() -> None:
    text = "Wonderful news."
    segment = AlignedSegment(text, text, 100.0)
    ((pcm, characters), *_) = messages(text, [8])
    chunks = segment.feed(pcm, characters) + segment.cut()
    assert sum(len(chunk.pcm) // 2 for chunk in chunks) == HEAD_START_SAMPLES == 40 * RATE_HZ // 1000
    assert not any(chunk.words for chunk in chunks)


def test_a_full_stop_is_there_when_its_audio_is() -> None:
    segment = AlignedSegment("I know a few.", "I know a few.")
    pcm, characters = voice("I know a few.")
    half = 2 * (RATE_HZ * CHARACTER_MS // 2000)
    segment.feed(pcm[:-half], characters)
    assert segment.whole
    assert not segment.sounded_out
    segment.feed(pcm[-half:], [])
    assert segment.sounded_out
    chunks = segment.finish()
    assert abs(chunks[-1].total_samples / RATE_HZ - (13 * CHARACTER_MS + 250) / 1000) < 0.04


def test_marks_before_the_last_letter_need_not_be_told() -> None:
    segment = AlignedSegment("“Go”, he said.", "“Go”, he said.")
    segment.feed(*voice("Go he said."))
    assert segment.sounded_out
