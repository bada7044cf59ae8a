"""What an emulator is told to say and where it is told to fail."""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

DEFAULT_REPLIES: Final = (
    "That is a good question, and I am glad that you asked me.",
    "Most people would tell you that it depends on the weather.",
    "I would begin with something small and see how it goes.",
    "There is always time for another cup of tea, isn't there?",
    "Tell me more about it, and we will find an answer together.",
    "In the end it is all much simpler than it looks at first.",
)
"""What the language model says without a script: the first to the first user message, and so on around."""


class Fault(enum.Enum):
    """What goes wrong with a connection or a request."""

    NONE = "none"
    SLOW = "slow"
    """The first answer comes `Script.slow_ms` late."""
    STALL = "stall"
    """Answers stop in mid-stream; the connection stays open and is read from."""
    HALF_OPEN = "half-open"
    """The connection is accepted, then nothing is sent, read or ponged any more."""
    UNAUTHORIZED = "unauthorized"
    """401"""
    QUOTA = "quota"
    """402, or what the vendor says instead."""
    RATE_LIMITED = "rate-limited"
    """429 with Retry-After"""
    BROKEN = "broken"
    """503"""
    MALFORMED = "malformed"
    """Garbage instead of a message, in mid-stream."""
    CUT = "cut"
    """The connection is aborted in mid-stream, without a close frame or the end of the body."""
    BAD_REQUEST = "bad-request"
    """400: no such voice or model."""

    @property
    def refuses(self) -> bool:
        """Whether it shows at the handshake or in the status, before anything else was answered."""
        return self in _REFUSALS


_REFUSALS: Final = frozenset(
    {Fault.UNAUTHORIZED, Fault.QUOTA, Fault.RATE_LIMITED, Fault.BROKEN, Fault.BAD_REQUEST},
)


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call that the language model makes. `arguments_json` is sent as it stands, valid or not."""

    name: str
    arguments_json: str = "{}"


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer of the language model: text, or tool calls, or both (the text first)."""

    text: str = ""
    tool_calls: Sequence[ToolCall] = ()


Messages = Sequence[Mapping[str, Any]]
"""The `messages` of a chat request, as they came."""


@dataclass(frozen=True, slots=True)
class Script:
    """How one model or voice behaves. A new one under the same name starts to count from zero."""

    fault: Fault = Fault.NONE
    times: int | None = None
    """How many connections or requests have the fault, the first ones; then all is well. None: all of them."""
    after_words: int = 2
    """Faults in mid-stream come after so many words of this connection were heard or spoken."""
    slow_ms: int = 1500
    retry_after_s: int = 1
    """The Retry-After of RATE_LIMITED."""
    replies: Sequence[Reply] | Callable[[Messages], Reply] | None = None
    """Of the language model: a function of the messages, or one reply a request, the last one again and again."""
    finals_differ_every: int = 0
    """Of recognition: in every so-many-th utterance of a connection the newest word of each interim is another than in
    the final; 0: in none."""
    words_per_s: float = 3.0
    """Of the voice: 5 at most, or its words cannot be told apart."""


@dataclass(frozen=True, slots=True)
class Delays:
    """How fast the emulators are when nothing goes wrong."""

    interim_ms: int = 100
    """Recognition: how far interims trail the audio."""
    final_ms: int = 100
    """Recognition: from the finalize, or the end that it found itself, to the final; transcription of a file."""
    first_token_ms: int = 50
    tokens_per_s: float = 100.0
    first_audio_ms: int = 50
    audio_speed: float = 8.0
    """How many seconds of voice are sent in a second, after the first audio."""


@dataclass(slots=True)
class Part:
    """A script as it applies to one connection or request."""

    fault: Fault
    script: Script
    number: int
    """Of the connection or request under this script, from 0."""

    def strikes(self, words: int) -> bool:
        """Whether a fault in mid-stream is due, `words` words having been heard or spoken."""
        return words >= self.script.after_words and self.fault in {Fault.STALL, Fault.MALFORMED, Fault.CUT}

    @property
    def late_ms(self) -> int:
        """What the first answer is to be delayed by, beyond the usual."""
        return self.script.slow_ms if self.fault is Fault.SLOW else 0


@dataclass(slots=True)
class Scripts:
    """Scripts by the name of the model or voice, and how often each was played."""

    default: Script = field(default_factory=Script)
    _by_name: dict[str, Script] = field(default_factory=dict[str, Script])
    _played: dict[str, int] = field(default_factory=dict[str, int])

    def set(self, name: str, script: Script) -> None:
        """From now on `name` behaves like this."""
        self._by_name[name] = script
        self._played[name] = 0

    @property
    def names(self) -> tuple[str, ...]:
        """The models and voices that have a script."""
        return tuple(self._by_name)

    def play(self, name: str | None) -> Part:
        """The next connection or request that names this model or voice."""
        key = name or ""
        script = self._by_name.get(key)
        if script is None:
            # Unknown names are not counted one by one, or callers could grow the table.
            return Part(self.default.fault if self.default.times is None else Fault.NONE, self.default, 0)
        number = self._played[key]
        self._played[key] = number + 1
        struck = script.times is None or number < script.times
        return Part(script.fault if struck else Fault.NONE, script, number)
