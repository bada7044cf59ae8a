"""Text in the signs that the built-in voice knows."""

import pytest

from natter_tts.spoken_text import speakable


@pytest.mark.parametrize(
    ("spoken", "expected"),
    [
        ("Hello  there.", "Hello there."),
        ("It’s “fine”.", 'It\'s "fine".'),
        ("A → B × 2", "A to B times 2"),
        ("one--two", "one — two"),
        ("Say [x](/h/) now", "Say x (/h/) now"),
        ("...", ""),
        ("😀 !", ""),
        ("", ""),
        ("a\x00b\u200bc", "abc"),
    ],
)
def test_speakable(spoken: str, expected: str) -> None:
    assert speakable(spoken) == expected
