"""What is done for a caller who waits in vain: it is logged with what came before, counted, and apologized for."""

from collections.abc import Callable, Sequence
from typing import Final

from natter_common.logs import Log
from natter_common.metrics import Metrics
from natter_gateway.conductor.page import Page
from natter_gateway.conductor.watchdog import DEADLINE_MS, Waiting, Watchdog
from natter_gateway.turns import actions as act
from natter_gateway.turns import events as ev
from natter_gateway.turns.events import Modality
from natter_gateway.turns.machine import TurnMachine
from natter_gateway.turns.settings import TurnSettings
from natter_gateway.turns.states import Pausing, Thinking

_APOLOGY: Final = "Sorry, something went wrong here. Please say that again."
_MARGIN_MS: Final = 2_000.0


class Incidents:
    """Of one session. `handle` takes an event for the machine."""

    def __init__(
        self,
        machine: TurnMachine,
        settings: TurnSettings,
        page: Page,
        metrics: Metrics,
        log: Log,
        handle: Callable[[ev.Event], None],
    ) -> None:
        longest_pause_ms = settings.silence_limit_ms + max(settings.final_deadline_ms, settings.final_grace_ms)
        self._turn_end_ms = max(DEADLINE_MS, longest_pause_ms + _MARGIN_MS)
        self._machine = machine
        self._page = page
        self._metrics = metrics
        self._log = log
        self._handle = handle
        self._watchdog = Watchdog()

    @property
    def due_ms(self) -> float | None:
        """When to call `tick` at the latest."""
        return self._watchdog.due_ms

    def note(self, event: ev.Event, actions: Sequence[act.Action], now_ms: float) -> None:
        """The machine made a step."""
        self._watchdog.note(type(event).__name__, now_ms)
        for action in actions:
            self._watchdog.note(f"  {type(action).__name__}", now_ms)
        if isinstance(event, ev.ToolsOver) or any(isinstance(action, act.CommitUser) for action in actions):
            # The model begins (again).
            self._watchdog.goes_on(now_ms)

    def look(self, now_ms: float) -> None:
        """What the caller waits for now."""
        machine = self._machine
        match machine.bot:
            case Thinking() as thinking:
                self._watchdog.waits(Waiting.ANSWER, now_ms, DEADLINE_MS)
                if thinking.acting:
                    self._watchdog.goes_on(now_ms)
                elif thinking.modality is Modality.TEXT:
                    # Nothing of it is ever audible: it is read as it comes.
                    self._watchdog.goes_on(thinking.progress_at_ms)
            case _ if isinstance(machine.caller, Pausing):
                self._watchdog.waits(Waiting.TURN_END, now_ms, self._turn_end_ms)
            case _:
                self._watchdog.waits(Waiting.NOTHING, now_ms)

    def tick(self, now_ms: float) -> None:
        """Time passes."""
        self.look(now_ms)
        missed = self._watchdog.overdue(now_ms)
        if missed is Waiting.NOTHING:
            return
        self._metrics.incidents.labels(missed.value).inc()
        timeline = self._watchdog.timeline(now_ms)
        self._log.error("caller waits in vain", waiting=missed.value, turn=self._machine.turn, timeline=timeline)
        living = self._machine.living
        if living is not None:
            self._handle(ev.ReplyFailed(living, _APOLOGY))
        else:
            self._page.error(_APOLOGY)
        self._handle(ev.Say(_APOLOGY, over=False))
