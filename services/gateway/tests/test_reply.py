"""What the caller heard of a reply, to the word, from the frames that were handed out."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from natter_gateway.media.playout import Playout
from natter_gateway.reply import (
    CALLER_BUFFER_MS,
    Reply,
    ReplyHeard,
    ReplyNotice,
    SegmentHeard,
    SegmentShown,
    SpokenWord,
    Unvoiced,
    VoiceBegan,
    WordsHeard,
    spoken_rest,
)
from natter_gateway.turns.events import Modality

KEY = (3, 1)
WORD_SAMPLES = 4_800  # 200 ms


class Voice:
    """A reply with its playout: words of 200 ms each, played frame by frame in virtual time."""

    def __init__(self, *segments: str) -> None:
        self.playout = Playout()
        self.reply = Reply(KEY, Modality.VOICE, first_segment_id=10)
        self.now_ms = 0.0
        self.notices: list[ReplyNotice] = []
        for number, text in enumerate(segments, start=1):
            self.reply.add_segment(number, text, text)
            words = text.split()
            self.reply.add_words(
                number, [SpokenWord(word, i * WORD_SAMPLES, (i + 1) * WORD_SAMPLES) for i, word in enumerate(words)]
            )
            total = len(words) * WORD_SAMPLES
            self.playout.push((*KEY, number), b"\x01\x10" * total, 0)
            self.playout.end((*KEY, number), total)
            self.reply.set_total(number, total)

    def play(self, ms: float) -> list[ReplyNotice]:
        before = len(self.notices)
        until = self.now_ms + ms
        while self.now_ms < until:
            self.notices += self.reply.on_frame(self.playout.pop(), self.now_ms)
            self.now_ms += 20
        return self.notices[before:]


def test_words_are_heard_when_their_middle_is_and_the_delay_has_passed() -> None:
    voice = Voice("One two three.")
    voice.play(20)
    assert voice.notices == [VoiceBegan(), SegmentShown(10, "One two three.", spoken=True)]
    # The middle of "One" is at 100 ms: handed out with the sixth frame at 100 ms, heard 80 ms later.
    assert voice.play(100 + CALLER_BUFFER_MS - 20) == []
    assert voice.play(20) == [WordsHeard(10, "One", " two three.", "One")]
    assert voice.reply.heard_text == "One"


def test_a_reply_is_complete_when_all_of_it_was_heard_and_the_model_is_done() -> None:
    voice = Voice("One two.", "Three.")
    voice.play(2_000)
    assert SegmentHeard(11, "Three.") in voice.notices
    assert ReplyHeard() not in voice.notices
    assert voice.reply.end(2) == [ReplyHeard()]
    assert voice.reply.heard_text == "One two. Three."


def test_only_what_was_heard_counts_after_a_cut() -> None:
    voice = Voice("One two three four five.", "Six.")
    voice.play(500 + CALLER_BUFFER_MS)
    voice.playout.cut()
    assert voice.reply.heard_text == "One two"


def test_a_longer_round_trip_delays_what_is_heard() -> None:
    voice = Voice("One two three.")
    voice.reply.set_round_trip(400)
    voice.play(100 + CALLER_BUFFER_MS + 180)
    assert voice.reply.heard_text == ""
    voice.play(40)
    assert voice.reply.heard_text == "One"


def test_a_text_reply_is_shown_at_once_and_granted_no_voice() -> None:
    reply = Reply(KEY, Modality.TEXT, first_segment_id=1)
    assert reply.add_segment(1, "It is ten. ", "It is ten.") == [SegmentShown(1, "It is ten.", spoken=False)]
    assert reply.granted == 0
    assert reply.end(1) == [ReplyHeard()]
    assert reply.heard_text == "It is ten."


def test_voice_is_granted_about_five_seconds_ahead() -> None:
    reply = Reply(KEY, Modality.VOICE, first_segment_id=1)
    assert reply.granted == 1
    for number in range(1, 6):
        reply.add_segment(number, "x", "x" * 28)  # two seconds each
    assert reply.granted == 3
    reply.set_total(1, 24_000)
    assert reply.granted == 3
    reply.set_total(2, 24_000)
    assert reply.granted == 4


def test_segments_that_come_twice_or_ahead_of_their_turn_are_ignored() -> None:
    reply = Reply(KEY, Modality.TEXT, first_segment_id=1)
    assert len(reply.add_segment(1, "a", "a")) == 1
    assert reply.add_segment(1, "a", "a") == []
    assert reply.add_segment(3, "c", "c") == []
    assert reply.text == "a"


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.lists(st.sampled_from(["a", "bb", "a,", "ccc."]), min_size=1, max_size=6), min_size=1, max_size=3),
    st.integers(0, 200),
)
def test_heard_text_is_always_a_prefix_of_the_reply(segments: list[list[str]], frames: int) -> None:
    voice = Voice(*(" ".join(words) for words in segments))
    voice.play(frames * 20)
    voice.playout.cut()
    whole = " ".join(" ".join(words) for words in segments)
    assert whole.startswith(voice.reply.heard_text)
    for notice in voice.notices:
        if isinstance(notice, WordsHeard):
            assert notice.heard + notice.rest in whole


def test_another_voice_says_the_rest_behind_the_last_whole_word() -> None:
    reply = Reply((1, 1), Modality.VOICE, 1)
    reply.add_segment(1, "One two three four.", "One two three four.")
    reply.add_segment(2, "Five.", "Five.")
    reply.add_words(1, [SpokenWord("One", 0, 2_000), SpokenWord("two", 2_000, 4_000)])
    reply.add_voice(1, 0, 4_800)
    assert reply.voiced == 0

    complete, rest = reply.hand_over_voice()

    assert complete == []
    assert rest == [Unvoiced(1, "three four.", "three four."), Unvoiced(2, "Five.", "Five.")]
    assert reply.place(1, 0) == 4_800
    reply.add_voice(1, 0, 480)
    reply.add_words(1, [SpokenWord("three", 0, 1_000)])
    assert reply.set_total(1, 9_600) == 14_400
    assert reply.voiced == 1


def test_a_segment_whose_words_have_all_come_needs_no_other_voice() -> None:
    reply = Reply((1, 1), Modality.VOICE, 1)
    reply.add_segment(1, "One two …", "One two")
    reply.add_words(1, [SpokenWord("One", 0, 2_000), SpokenWord("two", 2_000, 4_000)])
    reply.add_voice(1, 0, 4_800)
    assert reply.hand_over_voice() == ([(1, 4_800)], [])
    assert reply.voiced == 1


@pytest.mark.parametrize(
    ("text", "spoken", "words", "rest"),
    [
        ("one two three", "one two three", 1, "two three"),
        ("**One** two three", "One two three", 2, "three"),
        ("See https://example.org now, please", "See now, please", 2, "now, please"),
        ("One 😀 two", "One two", 3, ""),
    ],
)
def test_what_is_left_to_say(text: str, spoken: str, words: int, rest: str) -> None:
    assert spoken_rest(text, spoken, words) == rest
