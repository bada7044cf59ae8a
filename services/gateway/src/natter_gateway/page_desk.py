"""What a session's page says over the data channel, and what comes of it."""

from collections.abc import Callable
from typing import Final

from natter_common.logs import Log
from natter_common.metrics import Metrics
from natter_gateway.conductor.attendant import Attendant
from natter_gateway.conductor.conductor import Conductor
from natter_gateway.conductor.page_words import TooMuchTextError
from natter_gateway.line import Line
from natter_gateway.rtvi import incoming, outgoing
from natter_gateway.rtvi.limit import RateLimit
from natter_gateway.turns.events import Modality


class PageDesk:
    """Of one session, over all its connections."""

    def __init__(
        self,
        conductor: Conductor,
        attendant: Attendant,
        line: Line,
        version: str,
        metrics: Metrics,
        log: Log,
        *,
        greeted: bool,
        next_sample: Callable[[], int],
        over: Callable[[], None],
    ) -> None:
        """`greeted`: the bot has spoken first already. `over` is called when the page ends the conversation."""
        self.muted = False
        """The caller switched the microphone off."""
        self._conductor: Final = conductor
        self._attendant: Final = attendant
        self._line: Final = line
        self._version = version
        self._metrics = metrics
        self._log = log
        self._greeted = greeted
        self._next_sample = next_sample
        self._over = over
        self._limit = RateLimit()

    def on_message(self, text: str | bytes, now_s: float) -> None:
        """A message came: whatever it is, it ends no call."""
        if not self._limit.admit(now_s):
            self._metrics.drop("rtvi", "rate")
            return
        try:
            message = incoming.parse(text)
        except incoming.BadMessageError as error:
            self._refuse(error)
            return
        match message:
            case incoming.ClientRequest():
                try:
                    self._on_request(message.request_id, message.request)
                except TooMuchTextError as error:
                    self._metrics.drop("rtvi", "too_much_text")
                    self._line.send(outgoing.error_response(message.request_id, str(error)))
            case incoming.TrackStatus():
                self._on_track_status(message)
            case incoming.Ping() | incoming.Ignored():
                pass
        if (round_trip_ms := self._line.round_trip_ms) is not None:
            self._conductor.set_round_trip(round_trip_ms)

    def _refuse(self, error: incoming.BadMessageError) -> None:
        self._metrics.drop("rtvi", "bad_message")
        self._log.warning("bad message from the page", reason=str(error))
        self._line.send(
            outgoing.error(str(error), fatal=False)
            if error.request_id is None
            else outgoing.error_response(error.request_id, str(error))
        )

    def _on_track_status(self, status: incoming.TrackStatus) -> None:
        if status.receiver_index != 0 or self.muted == (not status.enabled):
            return
        self.muted = not status.enabled
        if self.muted:
            self._conductor.muted(self._next_sample())
        else:
            self._attendant.caller_active()

    def _on_ready(self, request_id: str, request: incoming.ClientReady) -> None:
        problem = request.version_problem()
        if problem is not None:
            self._line.send(outgoing.error_response(request_id, problem))
        self._line.send(outgoing.bot_ready(request_id, self._version, self._conductor.retelling.first_turn))
        self._line.ready()
        self._attendant.begin()
        if self._greeted:
            self._conductor.retelling.tell()
        else:
            self._greeted = True
            self._conductor.greet()

    def _on_request(self, request_id: str, request: incoming.Request) -> None:
        match request:
            case incoming.ClientReady():
                self._on_ready(request_id, request)
            case incoming.SendText():
                modality = Modality.VOICE if request.options.audio_response else Modality.TEXT
                self._conductor.typed(request.content, modality, run_immediately=request.options.run_immediately)
            case incoming.AppendToContext():
                if request.role == "assistant":
                    self._conductor.add_to_context(request.content)
                else:
                    self._conductor.typed(request.content, Modality.VOICE, run_immediately=request.run_immediately)
            case incoming.FunctionCallResult():
                self._conductor.on_page_tool(request.tool_call_id, request.function_name, request.result)
            case incoming.ClientMessage(t=incoming.PING):
                self._line.send(outgoing.server_response(request_id, incoming.PING, None))
            case incoming.ClientMessage():
                self._line.send(outgoing.error_response(request_id, f"this bot has no answer to {request.t!r}"))
            case incoming.DisconnectBot():
                self._over()
