"""Prepares text for the built-in voice, beyond what the voice reads by itself (numbers, dates, money, units). Pure."""

from __future__ import annotations

import re
import unicodedata

# Symbols that the voice would leave out.
_WORDS = {
    "→": " to ", "←": " from ", "≈": " about ", "≠": " is not ", "≤": " at most ", "≥": " at least ", "×": " times ",
    "÷": " divided by ", "±": " plus or minus ", "√": " the root of ", "∞": " infinity ", "½": " one half ",
    "¼": " one quarter ", "¾": " three quarters ", "©": "", "®": "", "™": "", "№": " number ", "µ": " micro ",
}  # fmt: skip
_SYMBOL = re.compile("|".join(map(re.escape, _WORDS)))
# "[word](/phonemes/)" is an order to the voice; nobody's text may give orders.
_BRACKETS = re.compile(r"[\[\]]|\]\(")
_QUOTES = str.maketrans({"‘": "'", "’": "'", "“": '"', "”": '"', "«": '"', "»": '"', "\u00a0": " ", "\u202f": " "})
_DASHES = re.compile(r"\s*(?:--+|―)\s*")
_LETTER = re.compile(r"[^\W_]")


def speakable(spoken: str) -> str:
    """``spoken`` in the signs that the voice knows; empty when there is nothing to say."""
    said = unicodedata.normalize("NFC", spoken).translate(_QUOTES)
    said = _SYMBOL.sub(lambda match: _WORDS[match[0]], said)
    said = _BRACKETS.sub(" ", said)
    said = _DASHES.sub(" — ", said)
    said = "".join(c for c in said if c.isprintable() or c.isspace())
    said = " ".join(said.split())
    return said if _LETTER.search(said) else ""
