"""Where sentences and clauses end."""

import pytest

from natter_llm.boundaries import clause_end, forced_end, last_clause_end, sentence_end


def sentences(text: str) -> list[str]:
    found, start = [], 0
    while start < len(text) and (end := sentence_end(text, start, final=True)) is not None:
        found.append(text[start:end].strip())
        start = end
    return [*found, text[start:].strip()] if text[start:].strip() else found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One. Two! Three?", ["One.", "Two!", "Three?"]),
        ("Dr. Smith is here. Sit down.", ["Dr. Smith is here.", "Sit down."]),
        ("It costs 3.5 million. Or 4.", ["It costs 3.5 million.", "Or 4."]),
        ("Fruit, e.g. apples, is good. Yes.", ["Fruit, e.g. apples, is good.", "Yes."]),
        ("He said “Go!” Then he left.", ["He said “Go!”", "Then he left."]),
        ("Wait... what? Well… no. Fine.", ["Wait... what?", "Well… no.", "Fine."]),
        ("The answer is no. It is late.", ["The answer is no.", "It is late."]),
        ("Take bus No. 5 there. Then walk.", ["Take bus No. 5 there.", "Then walk."]),
        ("J. Smith and U.S. Army men came. They left.", ["J. Smith and U.S. Army men came.", "They left."]),
        ("It was I. You know.", ["It was I.", "You know."]),
        ("1. Wash it\n2. Cut it\n3. Eat", ["1. Wash it", "2. Cut it", "3. Eat"]),
        ("**Bold.** Next.", ["**Bold.**", "Next."]),
        ("你好。再见！", ["你好。", "再见！"]),
        ("See example.com for more", ["See example.com for more"]),
        ("A line\n\nAnother", ["A line", "Another"]),
    ],
)
def test_sentences(text: str, expected: list[str]) -> None:
    assert sentences(text) == expected


def test_a_dot_at_the_end_of_what_came_so_far_decides_nothing() -> None:
    assert sentence_end("It costs 3.") is None
    assert sentence_end("It costs 3. ") is None
    assert sentence_end("It costs it. N") == len("It costs it. ")
    assert sentence_end("It costs 3.", final=True) is None


def test_a_clause_needs_a_few_letters() -> None:
    text = "Well, I think so, but who knows"
    end = clause_end(text, 0, 10)
    assert end is not None
    assert text[:end] == "Well, I think so, "


def test_the_last_clause_takes_those_before_it_along() -> None:
    text = "Well, I think so, but who"
    end = last_clause_end(text, 3)
    assert end is not None
    assert text[:end] == "Well, I think so, "
    assert last_clause_end("Well, ", 3) is None
    assert last_clause_end("No, it", 3) is None


def test_numbers_and_times_are_no_clauses() -> None:
    assert clause_end("It is 1,250 at 5:30 by now you see", 0, 2) is None


def test_a_forced_end_prefers_clause_then_word() -> None:
    assert forced_end("aaaa bbbb, cccc dddd eeee", 0, 18) == len("aaaa bbbb, ")
    assert forced_end("aaaa bbbb cccc dddd eeee", 0, 18) == len("aaaa bbbb cccc ")
    assert forced_end("a" * 50, 0, 18) == 18
