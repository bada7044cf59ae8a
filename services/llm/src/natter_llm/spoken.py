"""From text as shown to text for a voice: without markdown, emoji and URLs. Pure.

Numbers, symbols and abbreviations stay: each voice reads them in its own way.
"""

from __future__ import annotations

import re

_URL = re.compile(r"<?\b(?:https?://|www\.)[^\s<>\"”’]*[^\s<>\"”’.,;:!?)\]*_`]>?", re.IGNORECASE)
_LINK = re.compile(r"!?\[([^\]\n]*)\]\(([^)\n]*)\)?")
_LINK_REST = re.compile(r"\]\([^)\n]*\)?")
_FENCE = re.compile(r"```[\w+-]*")
_LINE_MARK = re.compile(r"^[ \t]*(?:#{1,6}|>+|[-*+•‣◦])[ \t]+", re.MULTILINE)
_LIST_NUMBER = re.compile(r"^([ \t]*\d{1,3})[.)](?=\s)", re.MULTILINE)
_RULE = re.compile(r"^[ \t]*(?:[-*_=][ \t]*){3,}$", re.MULTILINE)
_TAG = re.compile(r"</?[A-Za-z][A-Za-z0-9]*(?:\s[^<>]*)?/?>")
_PAIRED = re.compile(r"(\*\*\*|\*\*|__|~~)(?=\S)(.+?)(?<=\S)\1", re.DOTALL)
_SINGLE = re.compile(r"(?<![\w*])([*_])(?=\S)([^*_\n]+?)(?<=\S)\1(?![\w*])")
# A segment border may have parted a pair.
_LONE_MARKS = re.compile(r"\*{2,}|~~|`+|(?<!\w)_+(?=\w)|(?<=\w)_+(?!\w)|(?<![\w*])\*(?=\w)|(?<=[\w.!?,])\*(?![\w*])")
_EMOJI = re.compile("[\U0001f000-\U0001faff\U0001fb00-\U0001fbff☀-➿⬀-⯿⌀-⏿️‍⃣\U000e0020-\U000e007f]+")
# Tokens without a letter or digit that a voice can still make something of.
_SAYABLE = frozenset({"—", "–", "-", "&", "+", "=", "%", "…", "..."})


def spoken_form(text: str) -> str:
    """What a voice should say for ``text``; empty only if there is no letter or digit in it."""
    said = _FENCE.sub(" ", text)
    said = _LINK.sub(lambda match: match[1] or "the link", said)
    said = _LINK_REST.sub(" ", said)
    said = _URL.sub("the link", said)
    said = _TAG.sub(" ", said)
    said = _RULE.sub(" ", said)
    said = _LINE_MARK.sub("", said)
    said = _LIST_NUMBER.sub(r"\1,", said)
    said = _EMOJI.sub(" ", said)
    for _ in range(2):
        said = _PAIRED.sub(r"\2", said)
        said = _SINGLE.sub(r"\2", said)
    said = _LONE_MARKS.sub("", said)
    said = re.sub(r"\s*\|\s*", ", ", said).strip(", ") if said.count("|") > 1 else said
    said = said.replace("[", "").replace("]", "")
    words = [word for word in said.split() if word in _SAYABLE or any(c.isalnum() for c in word)]
    said = re.sub(r"\s+([,.;:!?])", r"\1", " ".join(words))
    if not any(c.isalnum() for c in said):
        # Nothing was left of what has letters (a lone tag, say): say the letters.
        return " ".join(re.findall(r"[^\W_]+", _EMOJI.sub(" ", text)))
    return said
