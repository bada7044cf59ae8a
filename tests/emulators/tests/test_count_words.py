from natter_emulators.marks import WordCount, count_words


def test_all_heard_once():
    assert count_words("What is the time? It's 12.", ["what", "is", "the", "time", "its", "twelve"]).exact


def test_lost_and_doubled_words_are_named_in_their_order():
    assert count_words("one two three four", ["one", "three"]) == WordCount(("two", "four"), ())
    assert count_words("one two three", ["one", "two", "two", "three", "one"]) == WordCount((), ("two", "one"))
    assert count_words("one two", ["one", "nine"]) == WordCount(("two",), ("nine",))


def test_a_phrase_heard_twice():
    words = ["tell", "me", "about", "the", "moon"]
    assert count_words("tell me about the moon", words[:3] + words[1:]) == WordCount((), ("me", "about"))


def test_nothing_expected_and_nothing_heard():
    assert count_words("", []).exact
    assert count_words("no", []) == WordCount(("no",), ())
    assert count_words("", ["no"]) == WordCount((), ("no",))
