"""Replies end in time, and with a sentence."""

from natter_llm.limits import ReplyLimiter


def passed(limiter: ReplyLimiter, text: str, *, cut_short: bool = False) -> str:
    out = ""
    for character in text:
        out += limiter.feed(character)
        if limiter.done:
            return out
    return out + limiter.finish(cut_short=cut_short)


def test_two_sentences_pass() -> None:
    assert passed(ReplyLimiter(2), "One is here. Two is here. Three is here.") == "One is here. Two is here."


def test_a_reply_that_ends_by_itself_is_whole() -> None:
    assert passed(ReplyLimiter(2), "One is here. And two") == "One is here. And two"


def test_cut_short_it_ends_with_the_last_whole_sentence() -> None:
    assert passed(ReplyLimiter(2), "One is here. And two is", cut_short=True) == "One is here. "


def test_a_first_sentence_that_is_cut_short_stays() -> None:
    assert passed(ReplyLimiter(2), "One is here and", cut_short=True) == "One is here and"


def test_the_first_sentence_passes_as_it_comes() -> None:
    limiter = ReplyLimiter(2)
    assert limiter.feed("One is") == "One is"
    assert not limiter.border
    assert limiter.feed(" here. Two") == " here. "
    assert limiter.border
    assert limiter.feed(" is here.") == ""
    assert limiter.feed(" Three") == "Two is here."
    assert not limiter.border
    assert limiter.done


def test_what_was_said_before_counts() -> None:
    assert passed(ReplyLimiter(2, "One is here. "), "Two is here. Three is here.") == "Two is here."


def test_a_line_that_announces_a_list_is_no_sentence() -> None:
    assert passed(ReplyLimiter(2), "Two things:\n1. Eat\n2. Sleep\n3. Go") == "Two things:\n1. Eat\n2. Sleep"
