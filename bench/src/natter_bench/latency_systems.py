"""The systems that the latency bench calls, each on emulated services of its own that behave alike."""

from __future__ import annotations

import tempfile
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

import httpx

from natter_bench.caller import Caller
from natter_bench.errors import CallError
from natter_bench.latency_call import Plan, Say, converse
from natter_bench.latency_hearing import WordsHeard, words_heard
from natter_bench.latency_script import INTERRUPTION, Utterance, reply_to
from natter_bench.pipecat_system import pipecat_python, pipecat_system
from natter_bench.report import SessionReport, session_report
from natter_bench.signalling import http_client
from natter_bench.speculation import Speculation, speculation_of
from natter_bench.speech import EncodedSpeech, encode
from natter_bench.undisturbed import undisturbed
from natter_local.broker import BrokerError
from natter_local.system import GATEWAY, StartError

try:
    # Come with the tests' packages, which are not there where only a client is installed.
    from natter_emulators.emulators import Emulators
    from natter_emulators.marks import caller_speech
    from natter_emulators.script import Delays, Reply, Script
    from natter_testing.provider_calls import Case, provider_system
except ImportError as missing:
    raise CallError("emulators are not installed here: run this in the project's own environment") from missing

NATTER: Final = "natter"
PIPECAT: Final = "pipecat"
BOT: Final = "latency"
DELAYS: Final = Delays(interim_ms=100, final_ms=100, first_token_ms=250, tokens_per_s=60, first_audio_ms=120)
FINALS_DIFFER_EVERY: Final = 5
_ONE_OF_EACH: Final[dict[str, int]] = dict.fromkeys((GATEWAY, "vad", "stt", "llm", "tts"), 1)
_STAGES: Final = {
    "stt": {"provider": "deepgram"},
    "llm": {"provider": "openai"},
    "tts": {"provider": "elevenlabs"},
}
_GENERATION: Final = "/v1/chat/completions"


@dataclass(frozen=True, slots=True)
class LatencyRun:
    """What became of one system's call."""

    system: str
    session: SessionReport
    replies: tuple[WordsHeard, ...]
    """Of the turns that were heard out."""
    generations: int
    """That the model was asked for, dropped ones too."""
    turns: int
    """That the caller began."""
    errors: tuple[str, ...]
    """What the system told of trouble, each once."""
    speculation: Speculation
    """As Natter's gateway counts it."""


@dataclass(frozen=True, slots=True)
class _Called:
    """A system that runs."""

    url: str
    via_start: bool
    bot: str | None = None
    metrics_url: str | None = None


def has_pipecat() -> bool:
    """Whether Pipecat is installed, in an environment of its own."""
    return pipecat_python() is not None


def plan(heard_out: Sequence[Utterance], interrupted: Sequence[Utterance]) -> Plan:
    """Utterances as they are sent, encoded ahead: a caller that is busy sends late."""
    return Plan(
        [_said(one.text) for one in heard_out],
        [one.reply for one in heard_out],
        [_said(one.text) for one in interrupted],
        _said(INTERRUPTION),
    )


def _said(text: str) -> EncodedSpeech:
    speech = caller_speech(text)
    return encode(speech.pcm, speech.rate_hz)


async def run_system(system: str, talk: Plan, say: Say) -> LatencyRun:
    """Start emulators and a system that uses them, make the call, stop all. Raises CallError."""
    say(f"starting {system}\n")
    with tempfile.TemporaryDirectory(prefix="natter-bench-", ignore_cleanup_errors=True) as name:
        try:
            async with Emulators(delays=DELAYS) as emulators, http_client() as http:
                _script(emulators)
                running = _natter if system == NATTER else _pipecat
                async with running(Path(name), emulators, say) as called:
                    session, replies, errors = await _call(called, talk, http, say)
                    counted = await _speculation(http, called.metrics_url)
                generations = sum(request.path == _GENERATION for request in emulators.openai.requests)
        except (StartError, BrokerError) as error:
            raise CallError(f"{system} does not come up: {error}") from error
    # An interruption is a turn, too.
    turns = len(session.turns) + 2 * len(session.barge_ins)
    return LatencyRun(system, session, replies, generations, turns, errors, counted)


def _script(emulators: Emulators) -> None:
    """By default: a system may choose models and voices as it likes."""
    emulators.openai.script_default(Script(replies=lambda messages: Reply(reply_to(messages))))
    emulators.deepgram.script_default(Script(finals_differ_every=FINALS_DIFFER_EVERY))
    # As the real service writes them: interims end without a full stop, finals with one.
    emulators.deepgram.sentences = True


@asynccontextmanager
async def _natter(folder: Path, emulators: Emulators, say: Callable[[str], object]) -> AsyncGenerator[_Called]:
    """With a bot that sets nothing but its providers."""
    case = Case(BOT, _STAGES)
    async with provider_system(folder, emulators, [case], {}, _ONE_OF_EACH) as system:
        (gateway,) = system.of(GATEWAY)
        say(f"calling {system.url}\n")
        yield _Called(system.url, via_start=True, bot=BOT, metrics_url=gateway.url)


@asynccontextmanager
async def _pipecat(folder: Path, emulators: Emulators, say: Callable[[str], object]) -> AsyncGenerator[_Called]:
    async with pipecat_system(folder, emulators.environment(), say) as url:
        say(f"calling {url}\n")
        yield _Called(url, via_start=False)


async def _call(
    called: _Called, talk: Plan, http: httpx.AsyncClient, say: Say
) -> tuple[SessionReport, tuple[WordsHeard, ...], tuple[str, ...]]:
    begin_s = time.monotonic()
    connecting = Caller.connect(called.url, bot=called.bot, via_start=called.via_start, http=http)
    with undisturbed():
        async with connecting as caller:
            exchanges, barge_ins = await converse(caller, talk, say)
    seconds = time.monotonic() - begin_s
    frames = caller.recording.frames()
    replies = tuple(
        words_heard(frames, reply, after_s=one.began_s, before_s=one.ended_s)
        for reply, one in zip(talk.replies, exchanges, strict=True)
    )
    errors = dict.fromkeys(_words(one.data) for one in caller.recording.of_type("error"))
    return session_report(caller, exchanges, barge_ins, seconds), replies, tuple(errors)


def _words(error: Any) -> str:
    told: Any = cast("dict[str, Any]", error).get("error") if isinstance(error, dict) else error
    return str(told)


async def _speculation(http: httpx.AsyncClient, url: str | None) -> Speculation:
    if url is None:
        return Speculation()
    try:
        response = await http.get(f"{url}/metrics")
    except httpx.HTTPError:
        return Speculation()
    return speculation_of(response.text) if response.is_success else Speculation()
