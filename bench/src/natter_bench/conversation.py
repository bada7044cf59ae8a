"""How a caller behaves: waits for the greeting, asks, listens to the end, pauses, asks again, interrupts."""

from __future__ import annotations

import asyncio
import time
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Final

from natter_bench.caller import Caller
from natter_bench.measure import MISSED_TURN_S
from natter_bench.speech import EncodedSpeech

GREETING_WITHIN_S: Final = 3.0
REPLY_ENDS_WITHIN_S: Final = 45.0
PAUSE_S: Final = 0.7
# Who sends no bot-stopped-speaking is taken to be done after this long without a sound.
_DONE_AFTER_QUIET_S: Final = 2.5
_SETTLED_QUIET_S: Final = 0.3
_LONGEST_PAUSE_S: Final = 0.35


@dataclass(frozen=True, slots=True)
class Exchange:
    """One question and its reply; a window on the caller's recording."""

    began_s: float
    ended_s: float


async def hear_greeting(caller: Caller, within_s: float = GREETING_WITHIN_S) -> bool:
    """Wait for a greeting to end; False when there was none."""
    begin_s = time.monotonic()
    if not await caller.wait_for_voice(after_s=begin_s, within_s=within_s):
        return False
    await hear_out(caller, begin_s)
    return True


async def hear_out(caller: Caller, since_s: float, within_s: float = REPLY_ENDS_WITHIN_S) -> None:
    """Wait until the reply that became audible after `since_s` is over, and its sound gone."""

    def over() -> bool:
        stopped = caller.recording.of_type("bot-stopped-speaking", after_s=since_s)
        return bool(stopped) or time.monotonic() - caller.last_audible_s >= _DONE_AFTER_QUIET_S

    await caller.wait_until(over, within_s)
    await caller.wait_for_quiet(_SETTLED_QUIET_S, within_s=within_s)


async def exchange(
    caller: Caller, speech: EncodedSpeech, *, pause_s: float = PAUSE_S, floor: asyncio.Lock | None = None
) -> Exchange:
    """Ask, hear the reply to its end (or miss it), pause.

    Callers that share a `floor` wait for each other's replies to begin before they speak: what a turn waits for is
    then never two callers' work at once.
    """
    async with floor or nullcontext():
        began_s = time.monotonic()
        await caller.say(speech)
        said_s = time.monotonic()
        answered = await caller.wait_for_voice(after_s=said_s, within_s=MISSED_TURN_S)
    if answered:
        await hear_out(caller, said_s)
    await asyncio.sleep(pause_s)
    return Exchange(began_s, time.monotonic())


async def interrupt(
    caller: Caller, question: EncodedSpeech, interruption: EncodedSpeech, *, after_voice_s: float = 0.4
) -> Exchange | None:
    """Ask, and speak into the reply `after_voice_s` after it began; hear out what comes then.

    The exchange returned is that of the interruption. None: there was no reply, or it was over before the caller's
    voice could cut it short; the conversation is at rest again then, and one may try with another question.
    """
    await caller.say(question)
    said_s = time.monotonic()
    if not await caller.wait_for_voice(after_s=said_s, within_s=MISSED_TURN_S):
        return None
    await asyncio.sleep(after_voice_s)
    if caller.recording.of_type("bot-stopped-speaking", after_s=said_s):
        return None
    onset_s = time.monotonic()
    async with asyncio.TaskGroup() as tasks:
        speaking = tasks.create_task(exchange(caller, interruption), name="interruption")
        # A pause between two sentences is shorter than this: whoever is silent for longer has finished.
        talking = tasks.create_task(
            caller.wait_for_voice(after_s=onset_s, within_s=_LONGEST_PAUSE_S), name="still-talking"
        )
    return speaking.result() if talking.result() and not _over_by_itself(caller, onset_s) else None


def _over_by_itself(caller: Caller, onset_s: float) -> bool:
    """Whether the reply ended before the gateway had noticed the caller's voice."""
    said = caller.recording.of_type("user-started-speaking", "bot-stopped-speaking", after_s=onset_s)
    return bool(said) and said[0].type == "bot-stopped-speaking"
