"""One call of the chaos suite: turns, in some of which a worker is struck."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, cast

import httpx

from natter_bench.caller import Caller
from natter_bench.chaos.judge import CallHeard
from natter_bench.chaos.plan import Strike
from natter_bench.chaos.script import user_messages
from natter_bench.chaos.sound import heard_built_in_turns, heard_turns, phase_of
from natter_bench.chaos.victim import Blow, victim_of
from natter_bench.chaos.world import BOT, World
from natter_bench.conversation import Exchange
from natter_bench.errors import CallError
from natter_bench.recording import Recording
from natter_bench.speech import EncodedSpeech
from natter_bench.talk.observer import Observed, Observer
from natter_bench.undisturbed import undisturbed

ANSWERED_WITHIN_S: Final = 12.0
"""A turn is missed after 5 s; how late its answer comes is told all the same."""
_SPOKEN_WITHIN_S: Final = 30.0
_GIVEN_UP_AFTER_QUIET_S: Final = 6.0
"""Inside a reply: longer than any takeover may be heard."""
_SETTLED_QUIET_S: Final = 0.6
_PAUSE_S: Final = 0.3


@dataclass(slots=True)
class Held:
    """A call that is over. Times are of the caller's clock."""

    heard: CallHeard
    exchanges: list[Exchange]
    recording: Recording
    observed: Observed
    late_frames: int
    blows: list[Blow]

    def phase(self, turn: int) -> str:
        """What was going on when the blow of a turn fell."""
        fell_s = next((blow.fell_s for blow in self.blows if _is_within(blow, self.exchanges, turn)), None)
        return phase_of(self.recording, self.exchanges[turn], fell_s)


@dataclass(slots=True)
class _Talk:
    exchanges: list[Exchange] = field(default_factory=list[Exchange])
    transcript: str | None = None
    blows: list[Blow] = field(default_factory=list[Blow])


async def hold_call(world: World, speeches: Sequence[EncodedSpeech], strikes: Mapping[int, Strike]) -> Held:
    """Make the call; `strikes` says in which turns (from 0) somebody is struck. Raises CallError."""
    world.asked.clear()
    talk = _Talk()
    async with Observer.open(world.system.nats_url) as observer:
        connecting = Caller.connect(world.system.url, bot=BOT, http=world.http, on_session=observer.listen)
        with undisturbed():
            async with connecting as caller:
                try:
                    await _talk(world, caller, speeches, strikes, talk)
                except* CallError as errors:
                    raise CallError(str(errors.exceptions[0])) from errors
                talk.transcript = await transcript_of(world.http, world.system.url, caller.session_id)
        observed = observer.observed()
    heard = CallHeard(
        turns=heard_built_in_turns(caller.recording, talk.exchanges, observed)
        if world.built_in
        else heard_turns(
            caller.recording, talk.exchanges, [one.reply for one in world.conversation[: len(talk.exchanges)]]
        ),
        model=None if world.built_in else _understood(world),
        transcript=talk.transcript,
        errors=tuple(dict.fromkeys(_words(one.data) for one in caller.recording.of_type("error"))),
    )
    return Held(heard, talk.exchanges, caller.recording, observed, caller.microphone.late_frames, talk.blows)


async def _talk(
    world: World, caller: Caller, speeches: Sequence[EncodedSpeech], strikes: Mapping[int, Strike], talk: _Talk
) -> None:
    async with asyncio.TaskGroup() as tasks:
        for number, speech in enumerate(speeches):
            if (strike := strikes.get(number)) is not None:
                blow = Blow(await victim_of(world.http, world.system, strike), strike)
                talk.blows.append(blow)
                tasks.create_task(blow.fall(), name=f"blow-{blow.victim.name}")
            if number == len(speeches) - 1:
                # Who was stopped goes on before the last turn, which shows what comes of that.
                for blow in talk.blows:
                    await blow.over.wait()
            talk.exchanges.append(await converse_turn(caller, speech))


def _is_within(blow: Blow, exchanges: Sequence[Exchange], turn: int) -> bool:
    return blow.fell_s is not None and exchanges[turn].began_s <= blow.fell_s < exchanges[turn].ended_s


async def converse_turn(caller: Caller, speech: EncodedSpeech) -> Exchange:
    """Ask, hear the reply to its end, however often it breaks off, pause."""
    began_s = time.monotonic()
    await caller.say(speech)
    said_s = time.monotonic()
    if await caller.wait_for_voice(after_s=said_s, within_s=ANSWERED_WITHIN_S):

        def over() -> bool:
            stopped = caller.recording.of_type("bot-stopped-speaking", after_s=said_s)
            return bool(stopped) or time.monotonic() - caller.last_audible_s >= _GIVEN_UP_AFTER_QUIET_S

        await caller.wait_until(over, _SPOKEN_WITHIN_S)
        await caller.wait_for_quiet(_SETTLED_QUIET_S, within_s=_SPOKEN_WITHIN_S)
    await asyncio.sleep(_PAUSE_S)
    return Exchange(began_s, time.monotonic())


def _understood(world: World) -> str:
    """All that the caller said, as the model was last asked; empty when it never was."""
    return " ".join(user_messages(world.asked[-1], world.conversation)) if world.asked else ""


async def transcript_of(http: httpx.AsyncClient, url: str, session_id: str | None) -> str | None:
    """All that the caller said, as the gateway's transcript has it; None where it does not tell."""
    try:
        answer = await http.get(f"{url}/sessions/{session_id}/transcript")
        content: Any = answer.json() if answer.is_success else None
    except (httpx.HTTPError, ValueError):
        return None
    if content is None:
        return None
    turns = cast("list[dict[str, Any]]", content["turns"])
    return " ".join(str(one["user"]) for one in turns if one["user"])


def _words(error: Any) -> str:
    told: Any = cast("dict[str, Any]", error).get("error") if isinstance(error, dict) else error
    return str(told)
