"""A turn machine in virtual time."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from natter_gateway.turns import actions as act
from natter_gateway.turns import events as ev
from natter_gateway.turns.events import AttemptKey
from natter_gateway.turns.machine import TurnMachine
from natter_gateway.turns.settings import TurnSettings

VAD_PAUSE_MS = 200
SAMPLES_PER_MS = 16


def settings(**changes: Any) -> TurnSettings:
    """Turns end soon: most tests are about what happens then."""
    return TurnSettings(**{"end_of_turn_silence_ms": 200.0, "unsure_silence_ms": 800.0, **changes})


@dataclass
class Call:
    """A machine, a clock, and all that the machine wanted so far. The microphone's samples go with the clock."""

    settings: TurnSettings = field(default_factory=settings)
    now_ms: float = 10_000.0
    done: list[act.Action] = field(default_factory=list[act.Action])

    def __post_init__(self) -> None:
        self.machine = TurnMachine(self.settings)

    @property
    def sample(self) -> int:
        return int(self.now_ms) * SAMPLES_PER_MS

    def at(self, ms_later: float, event: ev.Event) -> list[act.Action]:
        """Let time pass (ticking when the machine asked for it), then send an event; returns what that led to."""
        until = self.now_ms + ms_later
        while (due := self.machine.deadline_ms) is not None and due <= until:
            self.now_ms = max(self.now_ms, due)
            self.done += self.machine.step(ev.Tick(), self.now_ms)
        self.now_ms = until
        actions = self.machine.step(event, until)
        self.done += actions
        return actions

    def wait(self, ms: float) -> list[act.Action]:
        before = len(self.done)
        self.at(ms, ev.Tick())
        return self.done[before:]

    def of(self, kind: type) -> list[act.Action]:
        return [action for action in self.done if isinstance(action, kind)]

    # --- The detector. Speech of `ms` ends where it says; what follows is told when the detector would.

    def onset(self, ms_later: float = 100) -> list[act.Action]:
        """A sound begins; the detector knows after 64 ms."""
        self.wait(ms_later)
        begin = self.sample
        self.began = begin
        return self.at(64, ev.Onset(begin, self.sample + 64 * SAMPLES_PER_MS))

    def confirm(self) -> list[act.Action]:
        """It has lasted for 250 ms."""
        self.wait(186)
        return self.at(0, ev.SpeechConfirmed(self.began, self.sample))

    def dip(self, speech_ms: float = 750) -> list[act.Action]:
        """It goes on for so long, then there are 32 ms of quiet."""
        self.wait(speech_ms)
        self.end = self.sample
        return self.at(32, ev.Dipped(self.end, self.end + 32 * SAMPLES_PER_MS))

    def pause(self, probability: float = 1.0) -> list[act.Action]:
        """200 ms of quiet, 32 of which are over."""
        self.wait(VAD_PAUSE_MS - 32)
        return self.at(0, ev.Paused(self.end, self.sample, probability))

    def fade(self, ms: float = 60) -> list[act.Action]:
        """The sound lasted for so long after it was noticed, and was no speech."""
        self.wait(ms)
        self.end = self.sample
        self.wait(VAD_PAUSE_MS)
        return self.at(0, ev.OnsetFaded(self.end, self.sample))

    def speak(self, probability: float = 1.0) -> None:
        """Onset to pause, as the detector reports it."""
        self.onset()
        self.confirm()
        self.dip()
        self.pause(probability)

    # --- Recognition

    def interim(self, text: str, ms_later: float = 0, sign: ev.Sign = ev.Sign.NONE) -> list[act.Action]:
        self.wait(ms_later)
        return self.at(0, ev.Recognised(text, False, 0, sign, through_sample=self.sample))

    def recognise(self, text: str = "hello there", ms_later: float = 50) -> list[act.Action]:
        """The answer to the newest request."""
        self.wait(ms_later)
        request = self.of(act.AskFinal)[-1]
        assert isinstance(request, act.AskFinal)
        return self.at(0, ev.Recognised(text, True, request.finalize_id, through_sample=request.through_sample))

    # --- Both sides

    def ask(self, text: str = "hello there") -> AttemptKey:
        """A whole question; returns the attempt that answers it."""
        self.speak()
        self.recognise(text)
        self.wait(self.settings.silence_limit_ms)
        key = self.machine.living
        assert key is not None
        return key

    def answer(self, key: AttemptKey, *, heard: bool = True) -> None:
        """The reply becomes audible; `heard`: enough of it for the turn to be over for good."""
        self.at(100, ev.ReplyProgress(key))
        self.at(50, ev.ReplyAudible(key))
        if heard:
            self.at(500, ev.ReplyEstablished(key))

    @property
    def texts(self) -> list[str]:
        """What was committed."""
        return [action.text for action in self.done if isinstance(action, act.CommitUser)]


@pytest.fixture
def call() -> Call:
    return Call()


@pytest.fixture(scope="session")
def new_call() -> Callable[..., Call]:
    return lambda **changes: Call(settings(**changes))
