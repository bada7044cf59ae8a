"""A tool served over NATS: books tables at a restaurant. See README.md beside this file.

Environment: NATS_URL (nats://127.0.0.1:4222; several with commas between), NATTER_REALM (main).
"""

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections import OrderedDict

import nats
import nats.errors
from nats.aio.msg import Msg

from natter_proto import BadFrameError, RealmSubjects, Tool, ToolOutcome, ToolResult, decode, encode

NAME = "book_table"
SEATS = 8
KEPT_ANSWERS = 1_000


class Bookings:
    """The restaurant's book. One that matters would be a database."""

    def __init__(self) -> None:
        self._seats_left: dict[str, int] = {}

    def book(self, name: str, people: int, time: str) -> str:
        """Book, or raise ValueError with words that the model can tell the caller."""
        if not 1 <= people <= SEATS:
            raise ValueError(f"We have room for 1 to {SEATS} people.")
        left = self._seats_left.get(time, SEATS)
        if people > left:
            raise ValueError(f"At {time} only {left} seats are left.")
        self._seats_left[time] = left - people
        return json.dumps({"booked": True, "name": name, "people": people, "time": time})


class Server:
    """Answers requests. A call that it has answered before gets the same answer and books nothing again."""

    def __init__(self, bookings: Bookings) -> None:
        self._bookings = bookings
        self._answers: OrderedDict[tuple[str, str], ToolResult] = OrderedDict()

    async def on_request(self, message: Msg) -> None:
        try:
            request = decode(Tool, message.data)
        except BadFrameError as error:
            print(f"not understood: {error}", file=sys.stderr)  # noqa: T201
            return
        call = request.call
        # The id is unique in a session; both together name a call for good.
        key = (request.header.session, call.id)
        if key not in self._answers:
            self._answers[key] = self._run(call.id, call.arguments)
            while len(self._answers) > KEPT_ANSWERS:
                self._answers.popitem(last=False)
        await message.respond(encode(Tool(result=self._answers[key])))

    def _run(self, call_id: str, arguments_json: str) -> ToolResult:
        # The arguments fit the schema in the bot's YAML already: the llm worker checks them.
        arguments = json.loads(arguments_json)
        try:
            text = self._bookings.book(arguments["name"], arguments["people"], arguments["time"])
        except ValueError as error:
            return ToolResult(id=call_id, name=NAME, outcome=ToolOutcome.TOOL_OUTCOME_ERROR, result=str(error))
        return ToolResult(id=call_id, name=NAME, outcome=ToolOutcome.TOOL_OUTCOME_RESULT, result=text)


async def main() -> None:
    """Serve until SIGINT or SIGTERM."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    servers = os.environ.get("NATS_URL", "nats://127.0.0.1:4222").split(",")
    link = await nats.connect(servers, name=f"tool-{NAME}")
    subject = RealmSubjects(os.environ.get("NATTER_REALM", "main")).tool(NAME)
    # With a queue group each request goes to one of the processes that serve the tool.
    await link.subscribe(subject, queue=NAME, cb=Server(Bookings()).on_request)
    await link.flush()
    print(f"serving {subject}", flush=True)  # noqa: T201
    await stop.wait()
    with contextlib.suppress(nats.errors.Error):
        await link.drain()


if __name__ == "__main__":
    asyncio.run(main())
