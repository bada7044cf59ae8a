"""The words that can carry a mark. A word's place in the list is its mark, so words are only ever added at the end."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from natter_bench.words import normalise

_WORDS: Final = """
zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen
eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred thousand million first second third
a an the this that these those some any every each all both no not none nothing nobody never always often sometimes
i you he she it we they me him her us them my your his its our their mine yours who what which when where why how
im youre its hes shes theres thats whats isnt arent dont doesnt didnt wont cant couldnt wouldnt ive ill id lets shall
am is are was were be been being do does did done doing have has had having can could will would should may might must
and or but if so because than then while though until unless as like of in on at to from by with without for about
into over under after before between through during against around near behind above below across along up down out
off away back here there everywhere somewhere inside outside again once twice more most less least much many few little
lot very too also just only even still yet already almost enough quite rather really perhaps maybe sure certainly yes
yeah okay ok hello hi hey bye goodbye please thank thanks sorry welcome well oh ah uh um hmm mm huh right wrong true
stop wait hold moment minute hour day week month year today tomorrow yesterday morning noon afternoon evening night
late early soon now later ago monday tuesday wednesday thursday friday saturday sunday january february march april
june july august september october november december spring summer autumn winter time clock date
go going went gone come coming came get got give given take taken make made making put keep let say said saying tell
told talk speak spoken ask asked answer answered question word words call called hear heard listen look looks see seen
read write written know known think thought believe mean understand remember forget learn teach try want wish need
hope love help find found lose lost begin began start started end ended finish open close turn move run walk stand
sit sleep eat drink cook buy sell pay cost work play sing dance live born die grow change become seem feel felt bring
send show use used follow leave left stay meet happen happens happened depends explain describe tells goes
good better best bad worse worst great small large big long short high low deep wide old new young hot cold warm cool
fast slow hard soft easy simple simpler difficult strong weak light dark heavy full empty clean dirty quiet loud happy
sad glad nice kind friendly beautiful pretty rainy sunny cloudy windy free busy ready same different other another own
next last ever together alone second
people person man woman child children boy girl friend family mother father brother sister baby name home house room
kitchen door window table chair bed garden city town village street road country world france paris london capital
moon sun star sky earth sea ocean river water rain snow wind weather fire forest tree flower animal animals dog cat
bird fish horse whale elephant food bread tea coffee cup milk sugar fruit apple banana orange bath book story stories
history music piano song picture film game job interview interviewer school teacher doctor
number money price order train bus car boat ship plane bike station airport ticket hotel
colour red blue green yellow black white brown daytime
part piece side top bottom middle way place thing things something anything everything someone anyone
life mind heart head hand eye ear mouth voice sound idea reason problem plan example news
degrees celsius temperature percent euros dollars booked table reservation restaurant check checking result results
robin alex mira practising told what's shall mine system link connection line
interesting important possible sentence letters count counting hearing talking looking waiting done
unfortunately available anymore instead however therefore
days hours minutes weeks months years words questions answers sentences numbers facts questions houses boats cups
evenings nights cities towns stars waters kinds parts lights days eggs trees cats dogs birds whales
learnt yours ours whose whom itself myself yourself himself herself lady gentleman tiny huge tower left
cross piano everything history middle kitchen autumn large live near
catch caught largest smallest biggest potato tomato orders account speaker louder slower faster
able try tried keeps says said came wanted needs asks likes looks loves thinks works lives plays makes takes gives
turned reached saved searched ordered sent paid found cancelled confirmed failed sorry
fine correct exactly actually probably usually mostly hungry thirsty tired ill lunch dinner breakfast pizza salad soup
wine beer cake cheese egg rice meat chicken holiday weekend birthday party office phone email address message letter
computer internet code key password bank card shop market museum park beach hill lake island bridge berlin rome madrid
york england germany spain italy europe america africa english french german language speed light mile miles metre
metres kilometre kilometres half quarter double zero plus minus
course else tonight air sounds wants costs opens closes longer gets begins somebody far songs wood voices drive
"""

LEXICON: Final[tuple[str, ...]] = tuple(dict.fromkeys(word.replace("'", "") for word in _WORDS.split()))
_PLACES: Final[Mapping[str, int]] = MappingProxyType({word: place for place, word in enumerate(LEXICON)})


def place_of(word: str) -> int:
    """The place of a normalised word in the lexicon.

    Raises:
        ValueError: the word is not in it.
    """
    try:
        return _PLACES[word]
    except KeyError:
        raise ValueError(f"the word {word!r} has no mark: it is not in the lexicon of natter_emulators.marks") from None


def spoken_words(text: str) -> list[tuple[str, tuple[str, ...]]]:
    """The words of a text with their punctuation, each with the lexicon's words that it is spoken as.

    "At 10 – now!" gives ("At", at), ("10 –", ten), ("now!", now): what holds no word joins the word before it.
    """
    found: list[tuple[str, tuple[str, ...]]] = []
    for token in text.split():
        words = tuple(normalise(token))
        if words:
            found.append((token, words))
        elif found:
            found[-1] = (f"{found[-1][0]} {token}", found[-1][1])
    return found
