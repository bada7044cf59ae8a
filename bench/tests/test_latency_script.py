import pytest

from natter_bench.latency_script import (
    AFTER_INTERRUPTION,
    INTERRUPTION,
    LONG_UTTERANCES,
    NOT_UNDERSTOOD,
    UTTERANCES,
    Utterance,
    reply_to,
)
from natter_bench.words import normalise
from natter_emulators.marks import spoken_words
from natter_emulators.marks.lexicon import place_of

ALL = (*UTTERANCES, *LONG_UTTERANCES, Utterance(INTERRUPTION, AFTER_INTERRUPTION))


def asked(text, *before):
    return [{"role": "system", "content": "You are a script."}, *before, {"role": "user", "content": text}]


def test_every_utterance_has_3_to_12_words_and_a_reply_of_its_own():
    assert len(UTTERANCES) >= 20
    assert len(LONG_UTTERANCES) >= 8
    assert all(3 <= len(normalise(one.text)) <= 12 for one in (*UTTERANCES, *LONG_UTTERANCES))
    assert len({one.text for one in ALL}) == len({one.reply for one in ALL}) == len(ALL)


@pytest.mark.parametrize("text", [*(text for one in ALL for text in (one.text, one.reply)), NOT_UNDERSTOOD])
def test_every_word_can_be_heard(text):
    for _, words in spoken_words(text):
        for word in words:
            place_of(word)


@pytest.mark.parametrize("one", ALL, ids=lambda one: one.text)
def test_the_last_message_is_answered(one):
    before = {"role": "user", "content": UTTERANCES[0].text}, {"role": "assistant", "content": "Yes."}
    assert reply_to(asked(one.text, *before)) == one.reply
    assert reply_to(asked([{"type": "text", "text": one.text}])) == one.reply


@pytest.mark.parametrize("one", ALL, ids=lambda one: one.text)
def test_a_misheard_last_word_is_answered_too(one):
    assert reply_to(asked(" ".join([*one.text.split()[:-1], "whale"]))) == one.reply


def test_what_nobody_said_gets_some_reply():
    assert reply_to(asked("one two three four five")) == NOT_UNDERSTOOD
    assert reply_to([{"role": "system", "content": "You are a script."}]) == NOT_UNDERSTOOD


def test_interrupted_replies_are_long():
    assert all(len(normalise(one.reply)) >= 30 for one in LONG_UTTERANCES)
