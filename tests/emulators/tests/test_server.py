"""Every way to treat a connection badly, seen from a client that does things right."""

import asyncio

import httpx
import pytest
import websockets
from websockets.exceptions import ConnectionClosedError, InvalidStatus

from natter_emulators.server import Router, serve

DEADLINE_S = 10


@pytest.fixture
def over():
    """Set when a handler has come to its end."""
    return asyncio.Event()


@pytest.fixture
async def port(over):
    async def websocket(connection):
        try:
            match connection.request.query.get("do"):
                case "refuse":
                    await connection.refuse(402, {"error": "no money"}, {"X-Reason": "quota"})
                case "half-open":
                    await connection.accept()
                    await connection.half_open()
                case "swallow":
                    await connection.swallow()
                case "cut":
                    await connection.send(await connection.receive())
                    connection.cut_inside_message()
                case "close":
                    await connection.close(1011, "NET-0001")
                case _:
                    while True:
                        await connection.send(await connection.receive())
        finally:
            over.set()

    async def http(exchange):
        match exchange.request.params["do"]:
            case "form":
                await exchange.respond(
                    200, {name: [len(v) for v in vs] for name, vs in exchange.request.form().items()}
                )
            case "half-open":
                await exchange.half_open()
                over.set()
            case "forever":
                try:
                    await exchange.start("text/plain")
                    await exchange.write(b"begun")
                    await asyncio.Event().wait()
                finally:
                    over.set()
            case _:
                await exchange.respond(201, b"raw", content_type="audio/pcm")

    router = Router()
    router.websocket("/ws", websocket)
    router.http("POST", "/{do}", http)
    async with asyncio.timeout(DEADLINE_S), serve(router) as bound:
        yield bound


async def test_messages_of_both_kinds(port):
    async with websockets.connect(f"ws://127.0.0.1:{port}/ws") as client:
        for message in ("text", b"bytes"):
            await client.send(message)
            assert await client.recv() == message


async def test_a_handshake_refused_with_status_and_body(port):
    with pytest.raises(InvalidStatus) as raised:
        await websockets.connect(f"ws://127.0.0.1:{port}/ws?do=refuse")
    response = raised.value.response
    assert response.status_code == 402
    assert response.headers["X-Reason"] == "quota"
    assert b"no money" in response.body


async def test_a_close_frame_with_code_and_reason(port):
    async with websockets.connect(f"ws://127.0.0.1:{port}/ws?do=close") as client:
        with pytest.raises(ConnectionClosedError, match="NET-0001"):
            await client.recv()


async def test_cut_inside_a_message_has_no_close_frame(port):
    async with websockets.connect(f"ws://127.0.0.1:{port}/ws?do=cut") as client:
        await client.send("go")
        assert await client.recv() == "go"
        with pytest.raises(ConnectionClosedError) as raised:
            await client.recv()
        assert raised.value.rcvd is None


async def test_half_open_answers_no_ping_and_ends_with_its_client(port, over):
    client = await websockets.connect(f"ws://127.0.0.1:{port}/ws?do=half-open", close_timeout=0.1, ping_interval=None)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(await client.ping(), 0.3)
    assert not over.is_set()
    await client.close()
    await over.wait()


async def test_a_stall_answers_pings_and_nothing_else(port, over):
    async with websockets.connect(f"ws://127.0.0.1:{port}/ws?do=swallow") as client:
        await client.send("hello")
        await (await client.ping())
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(client.recv(), 0.2)
    await over.wait()


async def test_http_bodies_and_forms(port):
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
        answer = await client.post("/raw")
        assert (answer.status_code, answer.content, answer.headers["content-type"]) == (201, b"raw", "audio/pcm")
        file = bytes(range(256)) * 4
        answer = await client.post("/form", data={"model": ["a", "bb"]}, files={"file": ("a.wav", file)})
        assert answer.json() == {"model": [1, 2], "file": [1024]}


async def test_http_clients_that_leave_end_their_handlers(port, over):
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
        async with client.stream("POST", "/forever") as answer:
            assert await anext(answer.aiter_bytes()) == b"begun"
        await over.wait()


async def test_half_open_http(port, over):
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=0.3) as client:
        with pytest.raises(httpx.ReadTimeout):
            await client.post("/half-open")
    await over.wait()


async def test_stopping_drops_everyone():
    async def hold(connection):
        await connection.swallow()

    router = Router()
    router.websocket("/", hold)
    async with asyncio.timeout(DEADLINE_S):
        async with serve(router) as port:
            client = await websockets.connect(f"ws://127.0.0.1:{port}/")
        with pytest.raises(ConnectionClosedError):
            await client.recv()
    assert [task for task in asyncio.all_tasks() if "serve_one" in repr(task)] == []
