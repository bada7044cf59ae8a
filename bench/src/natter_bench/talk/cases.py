"""The cases: what a caller says, how, into what, and what should come of it. Data only.

Kinds: A says something whole. B pauses inside a sentence. C makes a small sound while the bot speaks. D interrupts.
E has the bot's own voice in the microphone, with and without an interruption on top.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal["A", "B", "C", "D", "E"]
KINDS: Final[tuple[Kind, ...]] = ("A", "B", "C", "D", "E")

NoiseColour = Literal["white", "pink", "babble"]
SoundName = Literal["cough", "throat", "thump", "click", "hum", "mhm", "keyboard"]


@dataclass(frozen=True, slots=True)
class Speaker:
    """Who speaks: the built-in voice, or a voice of espeak-ng with its rate in words a minute."""

    espeak: str | None = None
    words_per_minute: int = 160

    def __str__(self) -> str:
        return "built in" if self.espeak is None else f"{self.espeak} {self.words_per_minute}"


@dataclass(frozen=True, slots=True)
class Noise:
    """What is heard behind the caller all the time, below the level of the caller's speech."""

    colour: NoiseColour
    snr_db: float


@dataclass(frozen=True, slots=True)
class Echo:
    """The bot's voice in the caller's microphone. `gain_db` is negative."""

    gain_db: float = -20.0
    delay_ms: int = 120


@dataclass(frozen=True, slots=True)
class Case:
    """One case: a call of its own, or a part of one."""

    name: str
    kind: Kind
    parts: tuple[str, ...] = ()
    """What is said; more than one part is one sentence with pauses in it."""
    pauses_ms: tuple[int, ...] = ()
    """Between the parts: one less than those."""
    sound: SoundName | None = None
    """A sound instead of words."""
    speaker: Speaker = Speaker()
    gain_db: float = 0.0
    """How much louder than the voice is by itself."""
    noise: Noise | None = None
    into_reply_s: float | None = None
    """Said this long after a reply began; None: said while nobody speaks."""
    question: str | None = None
    """What brings the reply that is spoken into; None: the bot's greeting is that reply."""
    greeting: int = 0
    """Which greeting, counted around."""
    echo: Echo | None = None
    goes_on: bool = False
    """In the call of the case before it, once the bot is silent; else in a call of its own."""

    def __post_init__(self) -> None:
        if self.parts and len(self.pauses_ms) != len(self.parts) - 1:
            raise ValueError(f"{self.name}: {len(self.parts)} parts have {len(self.parts) - 1} pauses between them")

    @property
    def text(self) -> str:
        """All words."""
        return " ".join(self.parts)

    @property
    def interrupts(self) -> bool:
        """Whether the reply should end because of it."""
        return self.kind == "D" or (self.kind == "E" and bool(self.parts))

    @property
    def needs_espeak(self) -> bool:
        """Whether espeak-ng has to be there."""
        return self.speaker.espeak is not None


QUESTION_SPEAKER: Final = Speaker()
"""Asks the questions whose replies are interrupted."""

GREETINGS: Final = (
    "Good morning, and welcome to the old harbour. Today we look at the fishing boats, then we walk along the wall to "
    "the lighthouse.",
    "This is the weather for the coming week. Monday begins with rain in the north, and on Tuesday the sun returns to "
    "most of the country.",
    "Long ago a farmer lived near the river with seven goats. Every evening he counted them twice, because one of them "
    "liked to hide.",
    "Thank you for calling the city library. We open at nine each morning, and on Thursdays our reading room stays "
    "open until late in the evening.",
)
"""Spoken word for word: replies that are surely long enough to be spoken into."""

_HIBARI = Speaker()
_M3 = Speaker("en-us+m3", 160)
_M7 = Speaker("en-us+m7", 140)
_F2 = Speaker("en-us+f2", 170)
_F4 = Speaker("en-gb+f4", 150)
_RP = Speaker("en-gb-x-rp", 165)
_SCOT = Speaker("en-gb-scotland", 150)
_FAST = Speaker("en-us+m1", 200)
_SLOW = Speaker("en-us+f3", 125)


def _plain() -> tuple[Case, ...]:
    said: tuple[tuple[str, Speaker, Noise | None, float], ...] = (
        ("What is the capital of France?", _HIBARI, None, 0),
        ("Tell me a joke.", _HIBARI, None, 0),
        ("How many days are there in a leap year?", _M3, None, 0),
        ("I would like to learn to play the piano this year.", _HIBARI, None, 0),
        ("Why is the sky blue in the daytime?", _F4, None, 0),
        ("Which animal is the largest in the whole world?", _HIBARI, Noise("pink", 20), 0),
        ("What should I cook for dinner tonight?", _RP, None, 0),
        ("My favourite season is autumn.", _HIBARI, None, -10),
        ("Can you recommend a good book for a long train ride to the mountains?", _HIBARI, None, 0),
        ("I have two brothers and one sister.", _M7, None, 0),
        ("Is it going to rain tomorrow?", _HIBARI, Noise("white", 20), 0),
        ("How do I make a good cup of tea?", _SLOW, None, 0),
        ("Please explain how a bicycle stays upright.", _HIBARI, None, 5),
        ("What time do most shops close on a Sunday?", _FAST, None, 0),
        ("We moved to a new house last month.", _HIBARI, Noise("babble", 20), 0),
        ("Where does the river Thames begin?", _SCOT, None, 0),
        ("I think that cats are better company than dogs.", _HIBARI, Noise("pink", 15), 0),
        ("How far away is the moon?", _F2, Noise("pink", 25), 0),
        ("Could you give me three ideas for a birthday party in a small garden?", _HIBARI, None, 0),
        ("Good evening, how are you?", _HIBARI, None, -6),
    )
    return tuple(
        Case(f"plain-{number:02}", "A", (text,), speaker=speaker, noise=noise, gain_db=gain_db)
        for number, (text, speaker, noise, gain_db) in enumerate(said, 1)
    )


def _pausing() -> tuple[Case, ...]:
    said: tuple[tuple[tuple[str, ...], tuple[int, ...], Speaker, Noise | None], ...] = (
        (("I would like to book a table for", "four people on Friday."), (600,), _HIBARI, None),
        (("We went to the market and", "bought some apples."), (400,), _HIBARI, None),
        (("I can't come tomorrow because", "my car is being repaired."), (800,), _HIBARI, None),
        (("My phone number is five five five,", "one two three four."), (700,), _HIBARI, None),
        (("What I really want to know is, um,", "how long the journey takes."), (1000,), _HIBARI, None),
        (("Please add milk,", "bread,", "and six eggs to my list."), (500, 600), _HIBARI, None),
        (("The man who lives in the house next to the old church", "is a good friend of mine."), (900,), _HIBARI, None),
        (("If the weather stays like this,", "we could go swimming on Sunday."), (1200,), _HIBARI, None),
        (("I was thinking about,", "maybe going to Italy in the spring."), (700,), _M3, None),
        (("Can you tell me the way to,", "the nearest railway station?"), (500,), _F4, None),
        (("She said that she would call me, but,", "she never did."), (1100,), _RP, None),
        (("I need to,", "change my appointment to next Tuesday."), (800,), _M7, None),
        (("Well, um,", "what do you think about the new plan?"), (900,), _HIBARI, Noise("pink", 20)),
        (("Could you remind me to,", "water the plants at seven?"), (600,), _HIBARI, Noise("babble", 20)),
        (("On Monday I have a meeting, on Tuesday,", "I am free all day."), (400,), _FAST, None),
        (("My favourite colours are blue, green, and,", "a very dark red."), (1000,), _SCOT, None),
    )
    return tuple(
        Case(f"pause-{number:02}", "B", parts, pauses_ms=pauses_ms, speaker=speaker, noise=noise)
        for number, (parts, pauses_ms, speaker, noise) in enumerate(said, 1)
    )


def _small_sounds() -> tuple[Case, ...]:
    # espeak-ng takes phonemes in double brackets: it would spell "mhm".
    words: tuple[tuple[str, Speaker], ...] = (
        ("Mm-hmm.", _HIBARI),
        ("[[m,@hm'm]]", _M3),
        ("Yeah.", _HIBARI),
        ("Yeah.", _M7),
        ("Yeah, yeah.", _HIBARI),
        ("Okay.", _HIBARI),
        ("Okay.", _F2),
        ("Okay.", _RP),
        ("Right.", _HIBARI),
        ("Right.", _M3),
        ("Uh-huh.", _HIBARI),
        ("[[V-h'V]]", _M7),
    )
    moments_s = (1.2, 2.0, 2.8, 3.4, 1.6, 2.4)
    spoken = tuple(
        Case(
            f"backchannel-{number:02}",
            "C",
            (text,),
            speaker=speaker,
            into_reply_s=moments_s[number % len(moments_s)],
            greeting=number,
        )
        for number, (text, speaker) in enumerate(words, 1)
    )
    sounds: tuple[SoundName, ...] = ("cough", "throat", "thump", "click", "hum", "keyboard", "cough", "mhm")
    return spoken + tuple(
        Case(
            f"noise-{number:02}-{sound}",
            "C",
            sound=sound,
            gain_db=-6.0 if number == 7 else 0.0,
            into_reply_s=moments_s[number % len(moments_s)],
            greeting=number,
        )
        for number, sound in enumerate(sounds, 1)
    )


_INTERRUPTIONS: Final = (
    "Stop.",
    "No, wait.",
    "Stop, please.",
    "Wait a moment, I have a question.",
    "No, that is not what I meant.",
    "Actually, I meant the other one.",
    "Hold on, can we talk about something else?",
    "Sorry, can you say that again more slowly?",
    "Excuse me, what does that cost for two people?",
    "That's enough, thank you, tell me something about the sea instead.",
)
_LONG_ANSWERS: Final = (
    "Please tell me a long story about a dog and a cat.",
    "Please describe a walk through a forest in autumn.",
    "Tell me everything about the history of music.",
)


def _interruptions() -> tuple[Case, ...]:
    speakers = (_HIBARI, _M3, _HIBARI, _F4, _HIBARI, _RP, _HIBARI, _M7, _HIBARI, _FAST)
    cases: list[Case] = []
    for number in range(1, 41):
        of_answer = number % 3 == 0
        # Every tenth of a second once: from 0.3 to 4.0 s into a greeting, to 2.2 s into an answer, which is shorter.
        moment_s = 0.3 + (number * 7 % 20) / 10 if of_answer else 0.3 + (number * 11 % 38) / 10
        cases.append(
            Case(
                f"cut-{number:02}",
                "D",
                (_INTERRUPTIONS[number % len(_INTERRUPTIONS)],),
                speaker=speakers[(number // 2) % len(speakers)],
                noise=Noise("pink", 20) if number % 8 == 0 else None,
                into_reply_s=round(moment_s, 1),
                question=_LONG_ANSWERS[number // 3 % len(_LONG_ANSWERS)] if of_answer else None,
                greeting=number,
            )
        )
    return tuple(cases)


# Each brings a reply of a few sentences: a caller who asks one thing after the other.
_ASKED_IN_A_ROW: Final = (
    "Please tell me a story about a dog and a cat.",
    "What should I cook for dinner tonight?",
    "Why is the sky blue in the daytime?",
    "How do I make a good cup of tea?",
    "Please explain how a bicycle stays upright.",
    "Can you recommend a good book for a long train ride?",
    "What do you know about the moon?",
    "Please describe a walk through a forest in autumn.",
    "Could you give me three ideas for a birthday party?",
)


def _echoes() -> tuple[Case, ...]:
    """One call with ten replies, another with five interruptions; the first reply of each is the greeting."""
    alone = (
        Case("echo-01", "E", echo=Echo()),
        *(
            Case(f"echo-{number:02}", "E", question=question, echo=Echo(), goes_on=True)
            for number, question in enumerate(_ASKED_IN_A_ROW, 2)
        ),
    )
    return alone + tuple(
        Case(
            f"echo-cut-{number}",
            "E",
            (_INTERRUPTIONS[number + 1],),
            speaker=_HIBARI if number % 2 else _M3,
            into_reply_s=round(1.0 + number * 7 % 5 * 0.3, 1),
            question=None if number == 1 else _LONG_ANSWERS[number % len(_LONG_ANSWERS)],
            echo=Echo(),
            goes_on=number > 1,
        )
        for number in range(1, 6)
    )


CASES: Final = _plain() + _pausing() + _small_sounds() + _interruptions() + _echoes()


def chosen(kinds: frozenset[Kind] | None, name: str | None) -> tuple[Case, ...]:
    """The cases of some kinds, or of a name or its beginning; all by default."""
    return tuple(
        case
        for case in CASES
        if (kinds is None or case.kind in kinds) and (name is None or case.name == name or case.name.startswith(name))
    )


def calls(cases: Sequence[Case]) -> list[tuple[Case, ...]]:
    """Cases by the call that they are played in."""
    found: list[list[Case]] = []
    for case in cases:
        if case.goes_on and found:
            found[-1].append(case)
        else:
            found.append([case])
    return [tuple(call) for call in found]
