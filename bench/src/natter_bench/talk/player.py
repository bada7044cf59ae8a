"""Plays cases: each call has one or more of them, and everything of it is kept."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import httpx

from natter_bench.measure import MISSED_TURN_S
from natter_bench.opus import Pcm
from natter_bench.recording import Recording
from natter_bench.talk.bots import bot_of
from natter_bench.talk.cases import QUESTION_SPEAKER, Case
from natter_bench.talk.noise import as_floats
from natter_bench.talk.observer import Observed, Observer
from natter_bench.talk.talk_caller import TalkCaller
from natter_bench.talk.voices import CaseAudio, case_audio, speak

_BEFORE_SPEECH_S: Final = 0.5
_AFTER_ANSWER_S: Final = 1.2
"""Of an answer this much is heard: long enough to see it break off."""
_TO_SPEAK_INTO_WITHIN_S: Final = 10.0
"""How long a reply is waited for that is only there to be spoken into: its own delay is not what is measured."""
_REPLY_WITHIN_S: Final = 20.0
_QUIET_S: Final = 1.0
"""Longer than any pause inside a reply."""


@dataclass(slots=True)
class Played:
    """A case as it went. Times are of the caller's clock."""

    case: Case
    began_s: float = 0.0
    """When the caller began to say what the case is about; a window on the recording."""
    ended_s: float = 0.0
    recording: Recording = field(default_factory=Recording)
    observed: Observed = field(default_factory=Observed)
    sent: list[Pcm] = field(default_factory=list[Pcm])
    """What the microphone gave, frame by frame, 24 kHz."""
    late_frames: int = 0
    not_played: str = ""
    """Why the case could not be played."""


def prepare(case: Case) -> tuple[CaseAudio, Pcm | None]:
    """The audio of a case and of its question, made ahead of the call. Raises SpeechError."""
    return case_audio(case), None if case.question is None else speak(case.question, QUESTION_SPEAKER)


async def play(call: Sequence[Case], url: str, nats_url: str, http: httpx.AsyncClient) -> list[Played]:
    """Make the call, in which cases are played one after the other. Raises CallError, SpeechError."""
    played: list[Played] = []
    async with Observer.open(nats_url) as observer:
        async with TalkCaller.connect(url, bot=bot_of(call[0]), http=http, on_session=observer.listen) as caller:
            assert isinstance(caller, TalkCaller)  # noqa: S101 - connect makes what it is called on
            if call[0].goes_on and await caller.wait_for_voice(after_s=0.0, within_s=_TO_SPEAK_INTO_WITHIN_S):
                # It has nothing to go on from: the greeting is heard out.
                await caller.wait_for_quiet(_QUIET_S, within_s=_REPLY_WITHIN_S)
            for number, case in enumerate(call):
                if number:
                    await caller.wait_for_quiet(_QUIET_S, within_s=_REPLY_WITHIN_S)
                played.append(await _play_case(case, caller))
        observed = observer.observed()
    return apart(played, caller.recording, observed, caller.live.sent)


async def _play_case(case: Case, caller: TalkCaller) -> Played:
    audio, question = await asyncio.to_thread(prepare, case)
    played = Played(case, recording=caller.recording)
    late_frames = caller.live.late_frames
    caller.live.play_floor(audio.floor)
    caller.live.hear_loudspeaker(case.echo)
    if case.kind in ("A", "B"):
        await _speak_and_be_answered(caller, audio, played)
    else:
        await _speak_into_a_reply(caller, audio, question, played)
    played.ended_s = time.monotonic()
    played.late_frames = caller.live.late_frames - late_frames
    return played


def apart(played: Sequence[Played], recording: Recording, observed: Observed, sent: Sequence[Pcm]) -> list[Played]:
    """Give each case of a call what was from the end of the one before it."""
    since_s = float("-inf")
    for number, one in enumerate(played, 1):
        until_s = one.ended_s if number < len(played) else float("inf")
        first, last = (sum(frame.time_s < at_s for frame in recording.sent) for at_s in (since_s, until_s))
        one.recording = Recording(
            recording.sent[first:last],
            [packet for packet in recording.packets if since_s <= packet.time_s < until_s],
            [message for message in recording.messages if since_s <= message.time_s < until_s],
        )
        one.observed = observed.between(since_s, until_s)
        one.sent = list(sent[first:last])
        since_s = until_s
    return list(played)


async def _speak_and_be_answered(caller: TalkCaller, audio: CaseAudio, played: Played) -> None:
    await asyncio.sleep(_BEFORE_SPEECH_S)
    played.began_s = time.monotonic()
    await caller.live.speak(audio.speech, audio.levels)
    said_s = time.monotonic()
    if await caller.wait_for_voice(after_s=said_s, within_s=MISSED_TURN_S):
        await asyncio.sleep(_AFTER_ANSWER_S)


async def _speak_into_a_reply(caller: TalkCaller, audio: CaseAudio, question: Pcm | None, played: Played) -> None:
    since_s = time.monotonic()
    if question is not None:
        await asyncio.sleep(_BEFORE_SPEECH_S)
        await caller.live.speak(as_floats(question), question)
        since_s = time.monotonic()
    # A greeting may have begun while the connection was still being made.
    started_s = caller.last_audible_s if caller.last_audible_s > 0 and question is None else since_s
    if not await caller.wait_for_voice(after_s=min(started_s, since_s) - 1e-3, within_s=_TO_SPEAK_INTO_WITHIN_S):
        played.not_played = "there was no reply to speak into"
        return
    played.began_s = time.monotonic()
    if case_is_silent(played.case):
        await _hear_out(caller, played.began_s)
        return
    await asyncio.sleep(played.case.into_reply_s or 0.0)
    if caller.recording.of_type("bot-stopped-speaking", after_s=played.began_s):
        played.not_played = "the reply was over before it could be spoken into"
        return
    played.began_s = time.monotonic()
    await caller.live.speak(audio.speech, audio.levels)
    said_s = time.monotonic()
    if played.case.kind == "C":
        await _hear_out(caller, played.began_s)
        return
    # What was cut off may still sound for a moment: the answer begins behind a quiet.
    await caller.wait_for_quiet(0.2, within_s=1.0)
    if await caller.wait_for_voice(after_s=max(said_s, time.monotonic()), within_s=MISSED_TURN_S):
        await asyncio.sleep(_AFTER_ANSWER_S / 2)


def case_is_silent(case: Case) -> bool:
    """Whether the caller only listens."""
    return not case.parts and case.sound is None


async def _hear_out(caller: TalkCaller, since_s: float) -> None:
    """Until the reply is over, and nothing comes behind it."""
    await caller.wait_until(
        lambda: bool(caller.recording.of_type("bot-stopped-speaking", after_s=since_s)), _REPLY_WITHIN_S
    )
    await caller.wait_for_quiet(_QUIET_S, within_s=3.0)
