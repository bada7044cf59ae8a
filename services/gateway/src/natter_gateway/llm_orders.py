"""What a session asks of its llm worker beside turns: to run tools, to sum up old turns."""

from collections.abc import Callable, Coroutine
from typing import Final, Protocol

from natter_common.link import LinkDownError, NoAnswerError
from natter_common.logs import Log
from natter_gateway.conductor.frames import messages_of
from natter_gateway.conductor.tool_rounds import ToolRounds
from natter_gateway.context import Entry
from natter_gateway.leases.board import HeldLease
from natter_gateway.leases.broker import LeaseBroker
from natter_gateway.tools.round import Call, ToolTraits
from natter_gateway.turns.events import AttemptKey
from natter_proto import (
    BadFrameError,
    CancelTool,
    Header,
    Message,
    Role,
    Stage,
    Summarize,
    Tool,
    ToolCall,
    WorkerRequest,
)

_ORDER_S: Final = 1.0
_SUMMARY_S: Final = 30.0


class OrderingConductor(Protocol):
    """What is used of the conductor."""

    @property
    def leases(self) -> dict[Stage, HeldLease]: ...
    @property
    def tools(self) -> ToolRounds: ...
    def to_sum_up(self) -> tuple[int, str, list[Entry], int] | None: ...
    def sum_up(self, behind_turn: int, summary: str) -> None: ...


class LlmOrders:
    """One session's. `spawn` starts named tasks that the gateway owns."""

    def __init__(
        self,
        session: str,
        term: int,
        conductor: OrderingConductor,
        broker: LeaseBroker,
        spawn: Callable[[Coroutine[None, None, None], str], None],
        log: Log,
    ) -> None:
        self._session = session
        self._term = term
        self._conductor = conductor
        self._broker = broker
        self._spawn = spawn
        self._log = log
        self._summing_up = False

    def run(self, key: AttemptKey, call: Call, tool: ToolTraits) -> None:
        """Order a call from the worker that holds the lease now."""
        lease = self._conductor.leases.get(Stage.STAGE_LLM)
        self._spawn(self._run(lease, key, call, tool), f"order-{call.id}-{self._session}")

    def cancel(self, call: Call) -> None:
        """Stop a call, wherever it is."""
        lease = self._conductor.leases.get(Stage.STAGE_LLM)
        if lease is not None:
            request = WorkerRequest(cancel_tool=CancelTool(header=self._header(lease), id=call.id))
            self._spawn(self._tell(lease, request), f"cancel-{call.id}-{self._session}")

    def sum_up(self) -> None:
        """Have old turns summed up, when it is time."""
        lease = self._conductor.leases.get(Stage.STAGE_LLM)
        wanted = self._conductor.to_sum_up()
        if lease is None or wanted is None or self._summing_up:
            return
        self._summing_up = True
        behind_turn, before, entries, max_tokens = wanted
        messages = [Message(role=Role.ROLE_SYSTEM, content=before)] if before else []
        for entry in entries:
            messages += messages_of(entry)
        request = Summarize(header=self._header(lease), context=messages, max_tokens=max_tokens)
        self._spawn(self._sum_up(lease, behind_turn, request), f"sum-up-{self._session}")

    async def _run(self, lease: HeldLease | None, key: AttemptKey, call: Call, tool: ToolTraits) -> None:
        if lease is None:
            self._conductor.tools.not_run(call.id)
            return
        order = Tool(
            header=self._header(lease, key),
            call=ToolCall(id=call.id, name=call.name, arguments=call.arguments),
            read_only=tool.read_only,
            idempotent=tool.idempotent,
        )
        try:
            answer = await self._broker.order(lease, WorkerRequest(tool=order), _ORDER_S)
        except NoAnswerError as error:
            # A worker that is there and silent may have taken it: whether it ran will be seen, or stay unknown.
            if error.nobody:
                self._conductor.tools.not_run(call.id)
        except (LinkDownError, BadFrameError) as error:
            self._log.warning("order of a tool went unanswered", call=call.id, reason=str(error))
        else:
            if answer.ok:
                return
            self._log.warning("order of a tool refused", call=call.id, reason=answer.words)
            if answer.code == "not_held":
                # The next beat shows that the lease is gone, and another worker takes it.
                self._conductor.tools.not_run(call.id)
            else:
                self._conductor.tools.refused(call.id, answer.words)

    async def _tell(self, lease: HeldLease, request: WorkerRequest) -> None:
        try:
            await self._broker.order(lease, request, _ORDER_S)
        except (NoAnswerError, LinkDownError, BadFrameError) as error:
            self._log.info("llm worker does not hear", reason=str(error))

    async def _sum_up(self, lease: HeldLease, behind_turn: int, request: Summarize) -> None:
        try:
            answer = await self._broker.order(lease, WorkerRequest(summarize=request), _SUMMARY_S)
        except (NoAnswerError, LinkDownError, BadFrameError) as error:
            self._log.warning("old turns were not summed up", reason=str(error))
            return
        finally:
            self._summing_up = False
        if answer.ok and answer.text.strip():
            self._conductor.sum_up(behind_turn, answer.text.strip())
            self._log.info("old turns summed up", behind_turn=behind_turn, characters=len(answer.text))
        else:
            self._log.warning("old turns were not summed up", reason=answer.words)

    def _header(self, lease: HeldLease, key: AttemptKey = (0, 0)) -> Header:
        return Header(session=self._session, term=self._term, epoch=lease.epoch, turn=key[0], attempt=key[1])
