"""The Gladia SDK against the emulator: whole sessions, and each fault as the SDK shows it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import pytest
from gladiaio_sdk import GladiaClient, LiveV2InitRequest, LiveV2MessagesConfig
from gladiaio_sdk.client_options import HttpRetryOptions, WebSocketRetryOptions
from gladiaio_sdk.network.http_client import HttpError

from natter_emulators.emulators import Emulators
from natter_emulators.marks import count_words, speak
from natter_emulators.script import Delays, Fault, Script

TEXT = "what is the capital of france"
RATE_HZ = 16_000
# Long enough that nothing more is coming, short enough for a test.
NOTHING_S = 0.3


@pytest.fixture
async def emulators() -> AsyncIterator[Emulators]:
    async with Emulators(delays=Delays(interim_ms=5, final_ms=5)) as running:
        yield running


@dataclass
class Session:
    """A session of the SDK, and all that it said."""

    live: Any
    messages: list[Any] = field(default_factory=list[Any])
    errors: list[Exception] = field(default_factory=list[Exception])
    connections: list[Any] = field(default_factory=list[Any])
    news: asyncio.Condition = field(default_factory=asyncio.Condition)
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    closed: list[Any] = field(default_factory=list[Any])

    def __post_init__(self) -> None:
        self.live.on("message", self.messages.append)
        self.live.on("error", self.errors.append)
        self.live.on("connected", self.connections.append)
        self.live.on("ended", self._end)

    def _end(self, how: Any) -> None:
        self.closed.append(how)
        self.ended.set()

    async def say(self, text: str, quiet_ms: int = 600) -> None:
        pcm = speak(text, RATE_HZ).pcm.astype("<i2").tobytes() + bytes(32 * quiet_ms)
        for at in range(0, len(pcm), 640):
            # Just after a connection broke the SDK raises this, when it has kept the audio already to send it again.
            with contextlib.suppress(RuntimeError):
                self.live.send_audio(pcm[at : at + 640])
            # The SDK sends in tasks of its own.
            await asyncio.sleep(0)

    async def stop(self) -> None:
        self.live.stop_recording()
        await asyncio.wait_for(self.ended.wait(), 5)

    def kinds(self) -> list[str]:
        return [message.type for message in self.messages]

    def transcripts(self, *, final: bool) -> list[Any]:
        return [
            message.data for message in self.messages if message.type == "transcript" and message.data.is_final is final
        ]

    def final_words(self) -> list[str]:
        return [word.word.strip() for data in self.transcripts(final=True) for word in data.utterance.words]


def begin(emulators: Emulators, model: str = "solaria-1", key: str | None = None, **options: Any) -> Session:
    environment = emulators.environment()
    client = GladiaClient(
        api_key=key or environment["GLADIA_API_KEY"],
        api_url=environment["GLADIA_BASE_URL"],
        http_retry=HttpRetryOptions(max_attempts=1),
        ws_retry=WebSocketRetryOptions(max_attempts_per_connection=2, delay=lambda attempt: 0.02),
    )
    wanted = LiveV2MessagesConfig(**{"receive_partial_transcripts": True, "receive_acknowledgments": False, **options})
    request = LiveV2InitRequest(model=model, sample_rate=RATE_HZ, endpointing=0.3, messages_config=wanted)
    return Session(client.live_v2_async().start_session(request))


async def test_a_session_hears_the_marks_and_nothing_else(emulators: Emulators) -> None:
    session = begin(emulators, receive_lifecycle_events=True)
    await session.say(TEXT)
    await session.stop()
    assert count_words(TEXT, session.final_words()).exact
    assert count_words(TEXT, emulators.gladia.heard()).exact
    (final,) = session.transcripts(final=True)
    assert final.utterance.text == TEXT
    assert final.utterance.start == pytest.approx(0.0, abs=0.03)
    partials = session.transcripts(final=False)
    assert partials
    assert all(TEXT.startswith(partial.utterance.text) for partial in partials)
    assert {partial.id for partial in partials} == {final.id}
    others = [kind for kind in session.kinds() if kind != "transcript"]
    assert others == [
        "start_session",
        "start_recording",
        "speech_start",
        "speech_end",
        "end_recording",
        "post_transcript",
        "post_final_transcript",
        "end_session",
    ]
    post = next(message for message in session.messages if message.type == "post_final_transcript")
    assert post.data.transcription.full_transcript == TEXT
    assert session.closed[0].code == 1000
    assert not session.errors


async def test_sentences(emulators: Emulators) -> None:
    emulators.gladia.sentences = True
    session = begin(emulators)
    await session.say("yes i do")
    await session.stop()
    (final,) = session.transcripts(final=True)
    assert final.utterance.text == "Yes I do."
    assert [word.word for word in final.utterance.words] == ["Yes", " I", " do."]


async def test_silence_ends_an_utterance_and_nothing_else_does(emulators: Emulators) -> None:
    session = begin(emulators)
    await session.say("yes please", quiet_ms=600)
    await session.say("thank you", quiet_ms=100)
    await session.stop()
    assert [data.utterance.text for data in session.transcripts(final=True)] == ["yes please", "thank you"]
    assert [data.id for data in session.transcripts(final=True)] == ["00_00000000", "00_00000001"]


async def test_only_what_was_asked_for_is_sent(emulators: Emulators) -> None:
    session = begin(
        emulators,
        receive_partial_transcripts=False,
        receive_speech_events=False,
        receive_post_processing_events=False,
    )
    await session.say(TEXT)
    await session.stop()
    assert session.kinds() == ["transcript"]


async def test_acknowledgments_cover_the_audio_without_gaps(emulators: Emulators) -> None:
    session = begin(emulators, receive_acknowledgments=True)
    await session.say("yes")
    await session.stop()
    ranges = [message.data.byte_range for message in session.messages if message.type == "audio_chunk"]
    assert ranges[0][0] == 0
    assert all(earlier[1] == later[0] for earlier, later in pairwise(ranges))
    assert "stop_recording" in session.kinds()


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        (Fault.UNAUTHORIZED, 401),
        (Fault.QUOTA, 402),
        (Fault.RATE_LIMITED, 429),
        (Fault.BROKEN, 503),
        (Fault.BAD_REQUEST, 400),
    ],
)
async def test_refusals(emulators: Emulators, fault: Fault, status: int) -> None:
    emulators.gladia.script("m", Script(fault=fault, times=1))
    session = begin(emulators, "m")
    await asyncio.wait_for(session.ended.wait(), 5)
    error = session.errors[0]
    assert isinstance(error, HttpError)
    assert error.status == status
    again = begin(emulators, "m")
    await again.say("yes")
    await again.stop()
    assert again.final_words() == ["yes"]


async def test_a_wrong_key(emulators: Emulators) -> None:
    session = begin(emulators, key="wrong")
    await asyncio.wait_for(session.ended.wait(), 5)
    error = session.errors[0]
    assert isinstance(error, HttpError)
    assert error.status == 401


@pytest.mark.parametrize("wrong", [{"sample_rate": 12_345}, {"channels": 2}, {"endpointing": 60.0}, {"bit_depth": 24}])
async def test_wrong_parameters_are_named(emulators: Emulators, wrong: dict[str, Any]) -> None:
    environment = emulators.environment()
    client = GladiaClient(api_key=environment["GLADIA_API_KEY"], api_url=environment["GLADIA_BASE_URL"])
    session = Session(client.live_v2_async().start_session(dict(wrong)))
    await asyncio.wait_for(session.ended.wait(), 5)
    error = session.errors[0]
    assert isinstance(error, HttpError)
    assert error.status == 400
    assert next(iter(wrong)) in str(error)


async def test_a_cut_session_is_resumed_and_no_word_is_lost_or_doubled(emulators: Emulators) -> None:
    emulators.gladia.script("m", Script(fault=Fault.CUT, times=1, after_words=2))
    session = begin(emulators, "m")
    await session.say(TEXT)
    await session.stop()
    assert len(session.connections) == 2
    assert count_words(TEXT, session.final_words()).exact
    assert count_words(TEXT, emulators.gladia.heard()).exact


async def test_a_stall(emulators: Emulators) -> None:
    emulators.gladia.script("m", Script(fault=Fault.STALL, after_words=2))
    session = begin(emulators, "m", receive_acknowledgments=True)
    await session.say(TEXT)
    session.live.stop_recording()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(session.ended.wait(), NOTHING_S)
    assert [data.utterance.text for data in session.transcripts(final=False)] == ["what", "what is"]
    assert not session.transcripts(final=True)
    assert count_words(TEXT, emulators.gladia.heard()).exact
    session.live.end_session()


async def test_a_half_open_connection(emulators: Emulators) -> None:
    emulators.gladia.script("m", Script(fault=Fault.HALF_OPEN))
    session = begin(emulators, "m", receive_acknowledgments=True)
    await session.say(TEXT)
    session.live.stop_recording()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(session.ended.wait(), NOTHING_S)
    assert session.connections
    assert not session.messages
    assert emulators.gladia.heard() == ()
    session.live.end_session()


async def test_garbage(emulators: Emulators) -> None:
    emulators.gladia.script("m", Script(fault=Fault.MALFORMED, after_words=2))
    session = begin(emulators, "m")
    await session.say(TEXT)
    await session.stop()
    assert len(session.errors) == 1
    assert count_words(TEXT, session.final_words()).exact


async def test_slow_finals(emulators: Emulators) -> None:
    emulators.gladia.script("m", Script(fault=Fault.SLOW, slow_ms=300))
    session = begin(emulators, "m")
    await session.say(TEXT)
    said = asyncio.get_running_loop().time()
    await session.stop()
    assert session.transcripts(final=True)
    assert asyncio.get_running_loop().time() - said >= 0.25


async def test_an_unknown_session_is_refused(emulators: Emulators) -> None:
    from websockets.asyncio.client import connect
    from websockets.exceptions import InvalidStatus

    with pytest.raises(InvalidStatus) as refused:
        await connect(emulators.urls["gladia"].replace("http", "ws", 1) + "/v2/live?token=none")
    assert refused.value.response.status_code == 401
