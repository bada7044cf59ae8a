"""What the emulated model answers, and what it is taken to have been asked."""

from natter_bench.chaos.script import CONVERSATION, STRUCK_TURN, reply_to, user_messages
from natter_bench.latency_script import NOT_UNDERSTOOD

GO_ON = "Your last message was cut off there. Go on with it exactly where it ends: repeat nothing of it."


def asked(*said: str) -> list[dict[str, str]]:
    return [{"role": "system", "content": "You are a script."}, *({"role": "user", "content": text} for text in said)]


def test_each_utterance_has_its_reply() -> None:
    for one in CONVERSATION:
        assert reply_to(asked(one.text)) == one.reply


def test_a_misheard_word_changes_nothing() -> None:
    assert reply_to(asked("can you tell me anything about the moon")) == CONVERSATION[STRUCK_TURN].reply


def test_a_reply_that_broke_off_is_given_whole() -> None:
    messages = asked(CONVERSATION[0].text, CONVERSATION[1].text)
    messages += [{"role": "assistant", "content": "Sure, the moon"}, {"role": "user", "content": GO_ON}]
    assert reply_to(messages) == CONVERSATION[1].reply
    assert user_messages(messages) == [CONVERSATION[0].text, CONVERSATION[1].text]


def test_two_utterances_in_one_message_get_the_reply_of_the_last() -> None:
    assert reply_to(asked(f"{CONVERSATION[0].text} {CONVERSATION[1].text}")) == CONVERSATION[1].reply


def test_what_was_never_said_is_not_understood() -> None:
    assert reply_to(asked("What is the capital of France?")) == NOT_UNDERSTOOD
    assert reply_to([]) == NOT_UNDERSTOOD


def test_messages_in_parts() -> None:
    text = CONVERSATION[2].text
    assert user_messages([{"role": "user", "content": [{"type": "text", "text": text}]}]) == [text]
