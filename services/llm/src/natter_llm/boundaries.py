"""Where sentences and clauses end in text that is still growing. Pure.

Functions answer with an index right behind the white space that follows the punctuation, or None while that
cannot be told yet: "3." may become "3.5", and "Dr." is followed by a name.
"""

from __future__ import annotations

import re

# Closing quotes, brackets and markdown marks that belong to the sentence before them.
_CLOSERS = "\"'”’»)\\]*_`~"
_SENTENCE_END = re.compile(
    rf"(?P<mark>[.!?…]+)[{_CLOSERS}]*(?P<space>\s+)|[。！？]+[{_CLOSERS}]*\s*|(?P<line>\s*\n\s*)"
)
_CLAUSE_END = re.compile(rf"(?:[,;:][{_CLOSERS}]*|\s[—–-])(?P<space>\s+)|—(?=\w)")

# Never the end of a sentence, whatever follows.
_TITLES = frozenset(
    {"mr", "mrs", "ms", "mx", "dr", "prof", "rev", "hon", "st", "sr", "jr", "gen", "col", "capt", "lt", "sgt", "gov"}
    | {"sen", "rep", "pres", "vs", "fig", "vol", "approx", "e.g", "i.e", "cf", "al"}
)
# Only before a number: "No. 5".
_COUNTERS = frozenset({"no", "nos", "p", "pp"})
# Before a dot they are whole sentences and no abbreviations.
_SENTENCES_OF_ONE_WORD = frozenset(
    {"yes", "hi", "hello", "hey", "sure", "okay", "ok", "great", "thanks", "right", "perfect", "wonderful", "exactly"}
    | {"absolutely", "certainly", "definitely", "sorry", "nice", "good", "fine", "alright", "understood", "done"}
)
_DOTTED_WORDS = _TITLES | _COUNTERS | {"etc", "resp", "incl", "ext", "www"}
_PLAIN_HEAD = re.compile(
    r"\s*(?P<before>(?:[^\W\d_]+(?:['’][^\W\d_]+)?\s+)*)(?P<word>[^\W\d_]+(?:['’][^\W\d_]+)?)(?P<mark>[.,;!?]+)"
)
_LIST_NUMBER = re.compile(r"(?:^|\n)[ \t]*(?:[-*+>#]+[ \t]+)?\**\d{1,3}$")
_INITIALS = re.compile(r"^(?:[A-Za-z]\.)*[A-Za-z]$")


def _is_abbreviation(text: str, dot: int) -> bool:
    """Does the single dot at ``dot`` belong to the word before it?"""
    head = text[:dot]
    word = re.split(r"[\s(\[\"“‘*_]", head)[-1]
    if word.lower() in _TITLES or (word.lower() in _COUNTERS and text[dot + 1 :].lstrip()[:1].isdigit()):
        return True
    if _LIST_NUMBER.search(head):
        return True
    # "J. Smith", "U.S. Army", "a.m. train"; the pronoun ends sentences.
    return bool(_INITIALS.match(word)) and word != "I"


def sentence_end(text: str, start: int = 0, *, final: bool = False) -> int | None:
    """Index behind the first sentence of ``text[start:]``, white space included.

    Args:
        text: what there is so far.
        start: where the sentence begins.
        final: nothing more will come.
    """
    for match in _SENTENCE_END.finditer(text, start):
        end = match.end()
        if match["line"] is not None:
            # A blank start, or the line that announces a list, is no sentence of its own.
            if text[start : match.start()].strip() == "" or (end == len(text) and not final):
                continue
            return end
        if match["mark"] is None:
            return end
        if end == len(text) and not final:
            # What follows decides, and the white space may go on.
            return None
        if "\n" in match["space"]:
            if match["mark"] == "." and _LIST_NUMBER.search(text[: match.start()]):
                continue
            return end
        following = text[end] if end < len(text) else ""
        if set(match["mark"]) <= {".", "…"} and following.islower():
            continue
        if match["mark"] == "." and _is_abbreviation(text, match.start()):
            continue
        return end
    return None


def clause_end(text: str, start: int, least_letters: int, *, final: bool = False) -> int | None:
    """Index behind the first clause of ``text[start:]`` that has at least ``least_letters`` letters or digits."""
    for match in _CLAUSE_END.finditer(text, start):
        end = match.end()
        if end == len(text) and not final:
            return None
        if count_letters(text[start : match.start()]) >= least_letters:
            return end
    return None


def ends_for_sure(text: str, least_letters: int) -> bool:
    """Is ``text``, up to its last mark, a clause or sentence of plain words, whatever follows?

    Where that can be told, nobody needs to wait for the next word to begin.
    """
    match = _PLAIN_HEAD.fullmatch(text)
    if match is None or count_letters(text) < least_letters:
        return False
    if "." not in match["mark"]:
        return True
    word = match["word"]
    if not match["before"]:
        return word.lower() in _SENTENCES_OF_ONE_WORD
    # Names of months, firms and people are shortened, words of one or two letters too.
    return word.islower() and len(word) > 2 and word not in _DOTTED_WORDS


def last_clause_end(text: str, least_letters: int) -> int | None:
    """Index behind the last clause of ``text`` that something follows; the clauses before it go with it."""
    ends = [match for match in _CLAUSE_END.finditer(text) if match.end() < len(text)]
    if ends and count_letters(text[: ends[-1].start()]) >= least_letters:
        return ends[-1].end()
    return None


def forced_end(text: str, start: int, limit_chars: int) -> int:
    """Where to cut ``text[start:]``, longer than ``limit_chars``: at the last clause, else word, else anywhere."""
    window_end = start + limit_chars
    clauses = [m.end() for m in _CLAUSE_END.finditer(text, start) if m.end() <= window_end]
    if clauses and clauses[-1] - start >= limit_chars // 3:
        return clauses[-1]
    spaces = [m.end() for m in re.finditer(r"\s+", text[start:window_end])]
    if spaces and spaces[-1] >= limit_chars // 3:
        return start + spaces[-1]
    return window_end


def count_letters(text: str) -> int:
    """How many letters and digits there are: what a voice can say."""
    return sum(1 for character in text if character.isalnum())
