"""What a call is like, as far as its end is concerned."""

from dataclasses import dataclass
from enum import StrEnum


class Reason(StrEnum):
    """Why a call is ended."""

    IDLE = "idle"
    LENGTH = "length"


@dataclass(frozen=True, slots=True)
class Engaged:
    """Somebody speaks, or something is being answered."""

    asked: bool = False
    """The caller was asked whether they are there and has not shown it since: this is a noise, or the bot."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """Nothing goes on."""

    since_ms: float


@dataclass(frozen=True, slots=True)
class Asking:
    """The bot asks whether the caller is there."""

    since_ms: float
    began: bool = False
    """It speaks: the next quiet is the question's end."""


@dataclass(frozen=True, slots=True)
class Asked:
    """The caller was asked, and nothing goes on since the question was heard."""

    since_ms: float


@dataclass(frozen=True, slots=True)
class Leaving:
    """The bot says goodbye."""

    reason: Reason
    since_ms: float
    began: bool = False
    """It speaks: the next quiet is the end."""


@dataclass(frozen=True, slots=True)
class Away:
    """Nothing comes from the caller, no sound and no sign: the line is broken, and nobody is asked anything."""


@dataclass(frozen=True, slots=True)
class Left:
    """The call is to be closed; nothing matters any more."""

    reason: Reason


State = Engaged | Waiting | Asking | Asked | Leaving | Away | Left
