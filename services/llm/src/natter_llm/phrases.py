"""Where a phrase ends inside a clause, in text that is still growing: a place where a voice may breathe. Pure.

Words are known by lists, not by grammar: English ones in full, the commonest of a few other languages. Elsewhere a
phrase ends by its length alone. An index is right behind white space, before a word that has at least begun.
"""

from __future__ import annotations

import re
from typing import Final

# A phrase is worth a segment of its own from here on: three words, or two long ones, or two before a word that clearly
# begins something else ("I'm sorry | to hear …", "On Sunday | the museum …").
LEAST_WORDS: Final = 3
LEAST_LETTERS: Final = 8
LONG_LETTERS: Final = 12
TWO_WORDS_LETTERS: Final = 7
# From here on it ends before any word that does not belong to the one before.
MOST_WORDS: Final = 5
MOST_LETTERS: Final = 24


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_ARTICLES: Final = _words(
    "a an the my your his her its our their this these those each every any some no another such"
    " der die das den dem ein eine einen einem einer mein dein sein kein le la les un une des du mon ma mes ton votre"
    " el los las una unos mi tu su il lo gli uno de het een o os um uma"
)
_PREPOSITIONS: Final = _words(
    "at by for from in into on onto with without to toward towards about above across after against along among"
    " around before behind below beneath beside between beyond during inside near over through under until upon via"
    " within like than as per mit von zu bei nach aus auf an im am zum zur für über unter avec pour dans sur par en"
    " con por para per da nel di met van voor op"
)
_CONJUNCTIONS: Final = _words(
    "and or but nor because although though while since unless whether if when where who whom whose which that how"
    " why what und oder aber weil dass wenn et ou mais parce que y pero porque e ma perché en maar omdat"
)
_AUXILIARIES: Final = _words(
    "is are was were am be been being do does did has have had can could will would shall should may might must"
    " ist sind war hat haben kann wird est sont es está son"
)
_COPULAS: Final = _words("is are was were be been")
_SUBJECTS: Final = _words("i he she we they there ich er wir je il nous")
# They end a phrase as well as they begin one ("… help you", "… you can").
_PRONOUNS: Final = _words("you it him them me us")
# What leans on the word that follows.
_DEGREES: Final = _words(
    "very so too quite really just more most less least much many few both all not never always also only even still"
    " pretty rather almost nearly mr mrs ms dr prof st new old good great big small little last next first second other"
    " same own"
)
_NUMBERS: Final = _words(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen"
    " eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred thousand million billion half"
    " number"
)
# Verbs that are said as one with "to".
_LEAN_ON_TO: Final = _words(
    "need needs needed want wants wanted have has had like likes going try tries trying used ought got able"
)
_BEGIN: Final = (
    (_ARTICLES | _PREPOSITIONS | _CONJUNCTIONS | _AUXILIARIES | _SUBJECTS | frozenset({"you", "it", "of"}))
    - frozenset({"no"})
)  # fmt: skip
# They end a sentence as often as they begin a phrase ("hear that."): the word behind them tells.
_MAY_BE_SUBJECTS: Final = _words("it you this there")
_UNSURE: Final = _words("that this these those it you there in on do how why what")
_LEANS_ON_NEXT: Final = (
    _ARTICLES | _PREPOSITIONS | _CONJUNCTIONS | _AUXILIARIES | _SUBJECTS | _DEGREES | _NUMBERS | frozenset({"of"})
)
_WORD: Final = re.compile(r"\S+")
# A phrase has words and nothing else: no list, link, code, table or address is taken apart.
_NOT_PLAIN: Final = re.compile(r"[*_`\[\]()|<>#/\\@{}=~\n]|^\s*(?:[-+•>]|\d+[.)])\s")
_EDGES: Final = "\"'“”‘’.,;:!?…"


def phrase_end(text: str, *, last: bool = False) -> int | None:
    """Index behind the first phrase of ``text``, None where none has ended yet.

    Args:
        text: a part of one clause, from its beginning; its last word may still grow.
        last: the last place instead of the first: everything that may go, goes.
    """
    if _NOT_PLAIN.search(text):
        return None
    words = list(_WORD.finditer(text))
    found: int | None = None
    letters = 0
    # "In London it …": a subject follows, and no sentence ends with it.
    opens_with_place = bool(words) and words[0][0].lower() in _PREPOSITIONS
    noun_open = False
    for count in range(1, len(words)):
        before, follows = words[count - 1][0], words[count][0]
        letters += sum(character.isalnum() for character in before)
        noun_open = _noun_open(noun_open, words[count - 2][0] if count > 1 else "", before)
        subject = opens_with_place and follows.lower() in _MAY_BE_SUBJECTS
        if follows.lower() in _UNSURE and count + 1 == len(words) and not subject:
            continue
        # Not "He lives | with …", but "It's fine | because …".
        complete = words[0][0].lower() not in _SUBJECTS | _MAY_BE_SUBJECTS or follows.lower() in _CONJUNCTIONS
        least = TWO_WORDS_LETTERS if complete else LONG_LETTERS
        if _may_part(count, letters, before, follows, noun_open=noun_open, least_of_two=least):
            found = words[count].start()
            if not last:
                return found
    return found


def _noun_open(was_open: bool, before: str, word: str) -> bool:
    """May the noun that an article has announced still come behind ``word``, as in "a very long | history"?"""
    if word.lower() in _ARTICLES:
        return True
    return was_open and (before.lower() in _ARTICLES or before.lower() in _DEGREES)


def _may_part(count: int, letters: int, before: str, follows: str, *, noun_open: bool, least_of_two: int) -> bool:
    """May a phrase of so many words and letters end between these two?"""
    word, following = before.strip(_EDGES), follows.strip(_EDGES).lower()
    begins = following in _BEGIN
    enough = (count >= LEAST_WORDS and letters >= LEAST_LETTERS) or (count > 1 and letters >= LONG_LETTERS)
    if not enough and not (count > 1 and begins and letters >= least_of_two):
        return False
    if not following[:1].isalpha() or not word or not word[-1].isalpha() or any(c.isdigit() for c in word):
        return False
    if count >= LEAST_WORDS and word.lower() in _COPULAS and following in _ARTICLES:
        # "There may be | a music school …"
        return True
    if word.lower() in _LEANS_ON_NEXT or (following == "to" and word.lower() in _LEAN_ON_TO):
        return False
    if before.rstrip("\"'”’)").endswith((".", "!", "?", "…")):
        # An abbreviation, or nobody knows yet.
        return False
    # "I'm", "it's", "don't": the rest of their phrase follows. Plurals' apostrophes were stripped.
    if "'" in word or "’" in word or word.lower().endswith("-"):
        return False
    if word[0].isupper() and follows.strip(_EDGES)[0].isupper() and following not in _SUBJECTS:
        # A name.
        return False
    if word.lower() in _PRONOUNS:
        return begins and following not in _AUXILIARIES
    if following == "of" and letters < LONG_LETTERS:
        return False
    return begins or (not noun_open and (count >= MOST_WORDS or letters >= MOST_LETTERS))
