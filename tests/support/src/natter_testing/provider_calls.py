"""Calls over emulated providers: which bot, what was understood, what was heard, and what was said of trouble."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np

from natter_bench.caller import Caller
from natter_bench.errors import CallError
from natter_bench.measure import AUDIBLE_DBFS
from natter_bench.opus import Pcm
from natter_bench.recording import VOICE_HZ, ReceivedFrame
from natter_emulators.emulators import Emulators
from natter_emulators.marks import HeardWord, caller_speech, hear, heard_text
from natter_local.system import LocalOptions, LocalSystem

QUESTION: Final = "What is the capital of France?"
ANSWERED_WITHIN_S: Final = 14.0
"""The turn's deadlines together: for the last words and for the reply."""
_SPOKEN_WITHIN_S: Final = 20.0
_SETTLED_S: Final = 0.5
_HOLE_OVER_MS: Final = 150.0


@dataclass(frozen=True, slots=True)
class Case:
    """One call: the bot's providers and settings, and what the caller says."""

    name: str
    stages: Mapping[str, Mapping[str, Any]]
    """The sections `stt`, `llm` and `tts` of the bot."""
    question: str = QUESTION
    extra: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Other sections of the bot."""

    @property
    def bot(self) -> str:
        """Its file. JSON is YAML."""
        fields = {"name": self.name, "prompt": "You are a script.", **self.stages, **self.extra}
        return json.dumps(fields)


@dataclass(slots=True)
class Outcome:
    """What became of a call."""

    understood: str = ""
    """The user's message, as the model got it."""
    errors: list[str] = field(default_factory=list[str])
    words: list[HeardWord] = field(default_factory=list[HeardWord])
    """The marked words of the reply in the recording."""
    refused: str = ""
    """Why there was no call at all."""
    answered_s: float | None = None
    """From the end of the question to the first audible frame."""
    told_s: float | None = None
    """From the end of the question to the first error that was told."""
    holes_ms: list[float] = field(default_factory=list[float])
    """Silences of over 150 ms inside the reply, as they arrived."""
    audible_s: float = 0.0
    pcm: Pcm = field(default_factory=lambda: np.zeros(0, np.int16))
    """The call as the caller heard it, 24 kHz."""

    @property
    def heard(self) -> str:
        return heard_text(self.words)


@asynccontextmanager
async def provider_system(
    folder: Path,
    emulators: Emulators,
    cases: Sequence[Case],
    env: Mapping[str, str],
    services: Mapping[str, int],
    nats_nodes: int = 1,
) -> AsyncGenerator[LocalSystem]:
    """Natter with a bot for each case, whose providers' addresses are the emulators'."""
    bots = folder / "bots"
    bots.mkdir(parents=True, exist_ok=True)
    for case in cases:
        (bots / f"{case.name}.yaml").write_text(case.bot)
    options = LocalOptions(
        services=services,
        nats_nodes=nats_nodes,
        env={
            "NATTER_BOTS_DIR": str(bots),
            "NATTER_WEB_DIR": str(folder / "no-page"),
            "NATTER_HTTP_HOST": "127.0.0.1",
            "NATTER_DRAIN_S": "0",
            **emulators.environment(),
            **env,
        },
        ready_timeout_s=60.0,
    )
    async with LocalSystem(folder, options) as system:
        yield system


async def call_all(
    system: LocalSystem, cases: Sequence[Case], at_once: int = 8, before: Sequence[str] = ()
) -> dict[str, Outcome]:
    """Call every case's bot; `before` are cases to be called first, one after the other."""
    outcomes: dict[str, Outcome] = {}
    room = asyncio.Semaphore(at_once)

    async def one(case: Case) -> None:
        async with room:
            outcomes[case.name] = await call(system.url, case)

    for case in cases:
        if case.name in before:
            await one(case)
    async with asyncio.TaskGroup() as tasks:
        for case in cases:
            if case.name not in before:
                tasks.create_task(one(case), name=f"call-{case.name}")
    return outcomes


async def call(url: str, case: Case) -> Outcome:
    """One question and what comes of it."""
    speech = await asyncio.to_thread(caller_speech, case.question)
    outcome = Outcome()
    try:
        async with Caller.connect(url, bot=case.name) as caller:
            await caller.say(speech.pcm, speech.rate_hz)
            said_s = time.monotonic()

            def settled() -> bool:
                return caller.last_audible_s > said_s or bool(caller.recording.of_type("error", after_s=said_s))

            await caller.wait_until(settled, ANSWERED_WITHIN_S)
            if caller.last_audible_s > said_s:
                await caller.wait_for("bot-stopped-speaking", after_s=said_s, within_s=_SPOKEN_WITHIN_S)
                await caller.wait_for_quiet(_SETTLED_S, within_s=_SPOKEN_WITHIN_S)
            _note(outcome, caller, said_s)
    except CallError as error:
        outcome.refused = str(error)
    return outcome


def _note(outcome: Outcome, caller: Caller, said_s: float) -> None:
    recording = caller.recording
    outcome.understood = " ".join(str(one.data["text"]) for one in recording.of_type("user-llm-text"))
    errors = recording.of_type("error")
    outcome.errors = [str(one.data["error"]) for one in errors]
    outcome.told_s = errors[0].time_s - said_s if errors else None
    frames = recording.frames()
    loud = [frame for frame in frames if frame.dbfs > AUDIBLE_DBFS and frame.time_s > said_s]
    outcome.audible_s = len(loud) * 0.02
    if loud:
        outcome.answered_s = loud[0].time_s - said_s
        outcome.holes_ms = _holes(loud)
    outcome.pcm = _joined(frames)
    outcome.words = hear(outcome.pcm, VOICE_HZ)


def _joined(frames: Sequence[ReceivedFrame]) -> Pcm:
    """The sound without the silence where the sender's clock went on: a busy machine cuts no word in two."""
    pieces = [frame.pcm for frame in frames if frame.source != "skipped"]
    return np.concatenate(pieces) if pieces else np.zeros(0, np.int16)


def _holes(loud: Sequence[ReceivedFrame]) -> list[float]:
    gaps_ms = [(after.time_s - before.time_s) * 1000 - 20 for before, after in pairwise(loud)]
    return [gap_ms for gap_ms in gaps_ms if gap_ms > _HOLE_OVER_MS]
