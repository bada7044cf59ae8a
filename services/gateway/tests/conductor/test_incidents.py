"""Who is taken for somebody who waits in vain, and who is not: in virtual time."""

from typing import Any

import structlog

from natter_common.metrics import Metrics
from natter_gateway.conductor.incidents import Incidents
from natter_gateway.conductor.page import Page
from natter_gateway.turns import events as ev
from natter_gateway.turns.events import Modality
from natter_gateway.turns.machine import TurnMachine
from natter_gateway.turns.settings import TurnSettings


class Call:
    """A turn machine whose time the test makes; each event is looked at as a conductor does."""

    def __init__(self, **changes: Any) -> None:
        settings = TurnSettings(**changes)
        self.machine = TurnMachine(settings)
        self.metrics = Metrics("gateway")
        self.told: list[str] = []
        page = Page(self.told.append)
        self.incidents = Incidents(
            self.machine,
            settings,
            page,
            self.metrics,
            structlog.get_logger(),
            lambda event: self.at(self.now_ms, event),
        )
        self.now_ms = 0.0

    def at(self, now_ms: float, event: ev.Event) -> None:
        self.now_ms = now_ms
        actions = self.machine.step(event, now_ms)
        self.incidents.note(event, actions, now_ms)
        self.incidents.look(now_ms)

    def tick_until(self, end_ms: float) -> None:
        """Ring whenever the incidents are due, with nothing else going on."""
        while (due_ms := self.incidents.due_ms) is not None and due_ms <= end_ms:
            self.now_ms = due_ms
            self.incidents.tick(due_ms)

    def ask(self, modality: Modality = Modality.VOICE) -> Any:
        self.at(0.0, ev.Typed("What is the weather?", modality, run_immediately=True))
        return self.machine.living

    @property
    def count(self) -> int:
        lines = self.metrics.exposition()[0].decode().splitlines()
        return sum(int(float(line.split()[-1])) for line in lines if line.startswith("natter_incidents_total{"))


def test_an_answer_that_never_comes_is_an_incident() -> None:
    call = Call()
    call.ask()
    call.tick_until(16_000.0)
    assert call.count == 1


def test_a_tool_may_take_its_time() -> None:
    call = Call()
    key = call.ask()
    call.at(500.0, ev.ToolsBegan(key))
    call.tick_until(100_000.0)
    assert call.count == 0
    call.at(104_000.0, ev.ToolsOver(key))
    call.tick_until(118_900.0)
    assert call.count == 0, "the model has its time once more"
    call.tick_until(119_100.0)
    assert call.count == 1


def test_who_asks_again_waits_anew() -> None:
    call = Call()
    call.ask()
    call.at(13_000.0, ev.Typed("And tomorrow?", Modality.VOICE, run_immediately=True))
    call.tick_until(27_900.0)
    assert call.count == 0


def test_a_text_that_is_being_written_is_no_incident() -> None:
    call = Call()
    key = call.ask(Modality.TEXT)
    for second in range(1, 60):
        call.at(second * 1000.0, ev.ReplyProgress(key))
        call.tick_until(second * 1000.0 + 999.0)
    assert call.count == 0


def test_a_pause_may_be_as_long_as_the_bot_allows() -> None:
    call = Call(silence_limit_ms=20_000.0)
    call.at(0.0, ev.Onset(0, 0))
    call.at(300.0, ev.SpeechConfirmed(0, 4_800))
    call.at(1_000.0, ev.Paused(16_000, 16_000, 0.1))
    call.tick_until(25_000.0)
    assert call.count == 0
    call.tick_until(60_000.0)
    assert call.count == 1
