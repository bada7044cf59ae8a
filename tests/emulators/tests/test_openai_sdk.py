"""OpenAI's own SDK against the emulator: answers, refusals and every fault."""

import asyncio
import json

import httpx2
import numpy as np
import openai
import pytest

from natter_bench.speech import wav_bytes
from natter_emulators.emulators import Emulators
from natter_emulators.marks import caller_speech, count_words, hear, speak
from natter_emulators.script import DEFAULT_REPLIES, Delays, Fault, Reply, Script, ToolCall

QUICK = Delays(first_token_ms=1, tokens_per_s=2000, first_audio_ms=1, audio_speed=200, final_ms=1)
DEADLINE_S = 10
HELLO = [{"role": "user", "content": "Hello there."}]
TOOLS = [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}}]


@pytest.fixture
async def emulators():
    async with Emulators(delays=QUICK) as running:
        yield running


@pytest.fixture
async def client(emulators):
    async with client_of(emulators) as made:
        yield made


def client_of(emulators, **changes):
    environment = emulators.environment()
    settings = {
        "base_url": environment["OPENAI_BASE_URL"],
        "api_key": environment["OPENAI_API_KEY"],
        "max_retries": 0,
        "timeout": DEADLINE_S,
    }
    return openai.AsyncOpenAI(**{**settings, **changes})


async def chat(client, model, messages=HELLO, **options):
    """All chunks of a streamed answer."""
    stream = await client.chat.completions.create(model=model, messages=messages, stream=True, **options)
    return [chunk async for chunk in stream]


def text_of(chunks):
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)


async def test_a_reply_in_tokens_with_the_usage_at_the_end(client):
    chunks = await chat(client, "any", stream_options={"include_usage": True})
    assert text_of(chunks) == DEFAULT_REPLIES[0]
    assert len(chunks) > 12
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert chunks[-1].choices == []
    usage = chunks[-1].usage
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens
    assert usage.completion_tokens == len(chunks) - 3
    assert all(chunk.usage is None for chunk in chunks[:-1])


async def test_no_usage_unless_it_is_asked_for(client):
    assert (await chat(client, "any"))[-1].choices[0].finish_reason == "stop"


async def test_replies_without_a_script_go_by_the_messages_of_the_user(client):
    messages = [*HELLO, {"role": "assistant", "content": "Hi."}, *HELLO]
    assert text_of(await chat(client, "any", messages)) == DEFAULT_REPLIES[1]


async def test_scripted_replies_one_a_request_or_by_the_messages(client, emulators):
    emulators.openai.script("two", Script(replies=[Reply("One."), Reply("Two.")]))
    assert [text_of(await chat(client, "two")) for _ in range(3)] == ["One.", "Two.", "Two."]
    emulators.openai.script("echo", Script(replies=lambda messages: Reply(messages[-1]["content"].upper())))
    assert text_of(await chat(client, "echo")) == "HELLO THERE."


async def test_tool_calls_come_in_pieces_and_join_by_their_index(client, emulators):
    calls = [ToolCall("weather", '{"city": "Paris", "days": 3}'), ToolCall("weather", '{"city": "London"}')]
    emulators.openai.script("tools", Script(replies=[Reply("One moment.", calls)]))
    chunks = await chat(client, "tools", tools=TOOLS)
    joined = {}
    order = []
    for delta in (chunk.choices[0].delta for chunk in chunks):
        for call in delta.tool_calls or ():
            order.append(call.index)
            one = joined.setdefault(call.index, {"id": call.id, "name": call.function.name, "arguments": ""})
            one["arguments"] += call.function.arguments
    assert [(one["name"], one["arguments"]) for one in joined.values()] == [(c.name, c.arguments_json) for c in calls]
    assert joined[0]["id"] != joined[1]["id"]
    assert order != sorted(order)
    assert text_of(chunks) == "One moment."
    assert chunks[-1].choices[0].finish_reason == "tool_calls"

    whole = await client.chat.completions.create(model="tools", messages=HELLO, tools=TOOLS)
    assert [call.function.arguments for call in whole.choices[0].message.tool_calls] == [
        c.arguments_json for c in calls
    ]


async def test_tool_messages_must_match_the_calls(client):
    call = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
    asked = [*HELLO, {"role": "assistant", "content": None, "tool_calls": [call]}]
    result = {"role": "tool", "tool_call_id": "call_1", "content": "Rain."}
    assert text_of(await chat(client, "any", [*asked, result])) == DEFAULT_REPLIES[0]
    with pytest.raises(openai.BadRequestError, match="call_1"):
        await chat(client, "any", [*asked, *HELLO])
    with pytest.raises(openai.BadRequestError, match="preceding message"):
        await chat(client, "any", [*HELLO, result])


async def test_an_answer_is_cut_at_the_limit_of_tokens(client):
    chunks = await chat(client, "any", max_completion_tokens=3)
    assert DEFAULT_REPLIES[0].startswith(text_of(chunks))
    assert chunks[-1].choices[0].finish_reason == "length"


async def test_without_streaming(client):
    answer = await client.chat.completions.create(model="any", messages=HELLO)
    assert answer.choices[0].message.content == DEFAULT_REPLIES[0]
    assert answer.usage.total_tokens > 0


async def test_a_client_that_leaves_is_counted(emulators):
    async with Emulators(delays=Delays(tokens_per_s=20)) as slow, client_of(slow) as client:
        stream = await client.chat.completions.create(model="any", messages=HELLO, stream=True)
        await anext(aiter(stream))
        assert slow.openai.open_connections == 1
        await stream.close()
        async with asyncio.timeout(DEADLINE_S):
            while slow.openai.open_connections:
                await asyncio.sleep(0.01)
        assert slow.openai.cancelled == 1


async def test_a_wrong_key_is_refused_in_the_vendors_words(emulators):
    async with client_of(emulators, api_key="sk-wrong-wrong") as client:
        with pytest.raises(openai.AuthenticationError) as raised:
            await chat(client, "any")
        assert raised.value.code == "invalid_api_key"
        with pytest.raises(openai.AuthenticationError):
            await client.models.list()


@pytest.mark.parametrize(
    ("fault", "error", "status", "code"),
    [
        (Fault.UNAUTHORIZED, openai.AuthenticationError, 401, "invalid_api_key"),
        (Fault.QUOTA, openai.RateLimitError, 429, "insufficient_quota"),
        (Fault.RATE_LIMITED, openai.RateLimitError, 429, "rate_limit_exceeded"),
        (Fault.BROKEN, openai.InternalServerError, 503, None),
        (Fault.BAD_REQUEST, openai.NotFoundError, 404, "model_not_found"),
    ],
)
async def test_refusals_once_and_then_all_is_well(client, emulators, fault, error, status, code):
    emulators.openai.script("once", Script(fault, times=1, replies=[Reply("Fine.")]))
    with pytest.raises(error) as raised:
        await chat(client, "once")
    assert (raised.value.status_code, raised.value.code) == (status, code)
    assert ("retry-after" in raised.value.response.headers) == (fault is Fault.RATE_LIMITED)
    assert text_of(await chat(client, "once")) == "Fine."


async def read_until_it_fails(client, model, *, timeout_s=DEADLINE_S):
    """The text that came, and the error that ended it."""
    chunks = []
    try:
        async with asyncio.timeout(timeout_s):
            stream = await client.chat.completions.create(model=model, messages=HELLO, stream=True)
            async for chunk in stream:
                chunks.append(chunk)  # noqa: PERF401 - what came before the error counts
    except (TimeoutError, openai.APIError, httpx2.HTTPError, json.JSONDecodeError) as error:
        return text_of(chunks), error
    pytest.fail("it did not fail")


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault.STALL, TimeoutError),
        (Fault.CUT, (httpx2.HTTPError, openai.APIError)),
        (Fault.MALFORMED, json.JSONDecodeError),
    ],
)
async def test_faults_in_mid_stream_come_after_so_many_words(client, emulators, fault, error):
    emulators.openai.script(
        "broken", Script(fault, times=1, after_words=3, replies=[Reply("One two three four five.")])
    )
    text, raised = await read_until_it_fails(client, "broken", timeout_s=1 if fault is Fault.STALL else DEADLINE_S)
    assert text.split() == ["One", "two", "three"]
    assert isinstance(raised, error)
    assert text_of(await chat(client, "broken")) == "One two three four five."


async def test_half_open_never_answers(client, emulators):
    emulators.openai.script("half", Script(Fault.HALF_OPEN))
    text, raised = await read_until_it_fails(client, "half", timeout_s=0.5)
    assert (text, type(raised)) == ("", TimeoutError)
    async with asyncio.timeout(DEADLINE_S):
        while emulators.openai.open_connections:
            await asyncio.sleep(0.01)


async def test_slow_is_late_and_right(client, emulators):
    emulators.openai.script("slow", Script(Fault.SLOW, slow_ms=300, replies=[Reply("Fine.")]))
    loop = asyncio.get_running_loop()
    begin = loop.time()
    assert text_of(await chat(client, "slow")) == "Fine."
    assert loop.time() - begin >= 0.3


async def test_what_was_asked_can_be_read(client, emulators):
    await chat(client, "any")
    asked = emulators.openai.requests[-1]
    assert (asked.path, asked.json()["messages"]) == ("/v1/chat/completions", HELLO)
    assert asked.headers["authorization"] == "Bearer emulator-key"


async def test_models_are_listed_and_can_be_refused(client, emulators):
    emulators.openai.script("mine", Script())
    assert {"gpt-4o-mini", "mine"} <= {model.id async for model in client.models.list()}
    assert (await client.models.retrieve("mine")).id == "mine"
    emulators.openai.script("models", Script(Fault.BROKEN))
    with pytest.raises(openai.InternalServerError):
        await client.models.list()


async def test_a_transcription_is_what_is_marked(client, emulators):
    made = caller_speech("What is the capital of France?")
    file = ("speech.wav", wav_bytes(made.pcm, made.rate_hz))
    answer = await client.audio.transcriptions.create(model="whisper-1", file=file)
    assert answer.text == "what is the capital of france"
    verbose = await client.audio.transcriptions.create(
        model="whisper-1", file=file, response_format="verbose_json", timestamp_granularities=["word", "segment"]
    )
    assert [word.word for word in verbose.words] == answer.text.split()
    assert abs(verbose.words[1].start - made.words[1].from_sample / made.rate_hz) < 0.02
    assert verbose.segments[0].end == verbose.words[-1].end
    assert verbose.duration == pytest.approx(made.duration_s)
    assert [word.text for word in emulators.openai.heard()] == answer.text.split()
    events = await client.audio.transcriptions.create(model="gpt-4o-mini-transcribe", file=file, stream=True)
    assert [event.type async for event in events][-1] == "transcript.text.done"


async def test_unmarked_sound_is_no_text_and_nonsense_is_refused(client):
    quiet = ("speech.wav", wav_bytes(np.zeros(16_000, dtype=np.int16), 16_000))
    assert (await client.audio.transcriptions.create(model="whisper-1", file=quiet)).text == ""
    with pytest.raises(openai.BadRequestError, match="Invalid file format"):
        await client.audio.transcriptions.create(model="whisper-1", file=("speech.wav", b"nonsense"))


@pytest.mark.parametrize("fault", [Fault.STALL, Fault.CUT, Fault.MALFORMED, Fault.HALF_OPEN, Fault.BROKEN])
async def test_a_transcription_fails_once(client, emulators, fault):
    emulators.openai.script("ear", Script(fault, times=1))
    made = speak("yes", 16_000)
    file = ("speech.wav", wav_bytes(made.pcm, 16_000))
    with pytest.raises((TimeoutError, openai.APIError, httpx2.HTTPError, json.JSONDecodeError)):
        async with asyncio.timeout(0.5):
            await client.audio.transcriptions.create(model="ear", file=file)
    assert (await client.audio.transcriptions.create(model="ear", file=file)).text == "yes"


async def read_speech(client, *, model="tts-1", text=DEFAULT_REPLIES[0], response_format="pcm", **options):
    """The bytes that came, and the error that ended them, if any."""
    data = bytearray()
    try:
        async with client.audio.speech.with_streaming_response.create(
            model=model, voice="alloy", input=text, response_format=response_format, **options
        ) as response:
            async for piece in response.iter_bytes():
                data += piece
    except httpx2.HTTPError as error:
        return bytes(data), error
    return bytes(data), None


async def test_speech_is_marked_pcm_or_wav(client):
    data, error = await read_speech(client)
    assert error is None
    assert count_words(DEFAULT_REPLIES[0], hear(np.frombuffer(data, dtype="<i2"), 24_000)).exact
    wav, _ = await read_speech(client, response_format="wav")
    assert wav[:4] == b"RIFF"
    assert wav[44:] == data


async def test_speech_faster(client):
    normal, _ = await read_speech(client)
    fast, _ = await read_speech(client, speed=1.5)
    assert len(fast) / len(normal) == pytest.approx(2 / 3, rel=0.01)


async def test_speech_that_cannot_be_made_is_refused(client, emulators):
    with pytest.raises(openai.BadRequestError, match="xylophone"):
        await read_speech(client, text="The xylophone.")
    emulators.openai.script("alloy", Script(Fault.BAD_REQUEST))
    with pytest.raises(openai.BadRequestError, match="voice"):
        await read_speech(client)


async def test_a_voice_cut_in_mid_word(client, emulators):
    emulators.openai.script("tts-1", Script(Fault.CUT, times=1, after_words=2))
    data, error = await read_speech(client, text="One two three four.")
    assert error is not None
    heard = hear(np.frombuffer(data[: len(data) & ~1], dtype="<i2"), 24_000)
    assert [word.text for word in heard][:2] == ["one", "two"]
    assert len(heard) <= 3
    assert (await read_speech(client, text="One two three four."))[1] is None
