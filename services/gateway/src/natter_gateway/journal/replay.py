"""A recorded call again, in virtual time: the turn machine is told what it was told, and must decide the same. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, cast, get_args

from natter_gateway.journal.codec import Content, encode, has_texts, kind_of
from natter_gateway.journal.notes import Opened
from natter_gateway.journal.recording import Entry, Recording, Unknown, missing
from natter_gateway.turns import actions as act
from natter_gateway.turns import events as ev
from natter_gateway.turns.machine import VERSION, TurnMachine

_ACTIONS: Final = get_args(act.Action)


class NotReplayableError(ValueError):
    """A journal that can't be replayed, whatever the machine decides; the text says why."""


@dataclass(frozen=True, slots=True)
class Difference:
    """Where a replay first decided something else."""

    number: int
    """Of the entry with the input."""
    at_ms: float
    """Since the term began."""
    event: ev.Event
    recorded: tuple[act.Action, ...]
    decided: tuple[act.Action, ...]
    caller: str
    bot: str

    def lines(self) -> list[str]:
        """It, for people: what came, and the decisions as a diff."""
        lines = [
            f"entry {self.number}, {self.at_ms:.0f} ms: {shown(self.event)}",
            f"  then the caller's side is {self.caller}, the bot's side {self.bot}",
        ]
        same = 0
        while same < min(len(self.recorded), len(self.decided)) and self.recorded[same] == self.decided[same]:
            lines.append(f"    {shown(self.recorded[same])}")
            same += 1
        lines += [f"  - {shown(action)}" for action in self.recorded[same:]]
        lines += [f"  + {shown(action)}" for action in self.decided[same:]]
        return lines


@dataclass(frozen=True, slots=True)
class Replayed:
    """What came of a replay."""

    inputs: int
    decisions: int
    difference: Difference | None


@dataclass(frozen=True, slots=True)
class _Step:
    number: int
    at_us: int
    event: ev.Event
    actions: tuple[act.Action, ...]


def shown(content: Content) -> str:
    """An entry in one line."""
    return f"{kind_of(content)} {encode(content).decode()}"


def replay(recording: Recording, *, any_version: bool = False) -> Replayed:
    """Drive a machine through it; stops at the first difference.

    `any_version`: also where another version of the machine decided. Raises `NotReplayableError`.
    """
    inputs = decisions = 0
    if not recording.entries:
        raise NotReplayableError("there is nothing in it")
    for opened, entries in recording.terms:
        steps = _steps(opened, entries, any_version=any_version)
        machine = TurnMachine(cast("Opened", opened).settings, cast("Opened", opened).turn)
        for step in steps:
            decided = tuple(machine.step(step.event, step.at_us / 1000))
            inputs += 1
            decisions += len(decided)
            if decided != step.actions:
                at_ms = (step.at_us - entries[0].at_us) / 1000
                states = (repr(machine.caller), repr(machine.bot))
                difference = Difference(step.number, at_ms, step.event, step.actions, decided, *states)
                return Replayed(inputs, decisions, difference)
    return Replayed(inputs, decisions, None)


def decided_anew(recording: Recording) -> Recording:
    """The same inputs, with what this version of the machine decides on them. Raises `NotReplayableError`."""
    entries: list[Entry] = []
    for opened, recorded in recording.terms:
        steps = {step.number: step for step in _steps(opened, recorded, any_version=True)}
        begun = replace(cast("Opened", opened), machine_version=VERSION)
        machine = TurnMachine(begun.settings, begun.turn)
        number = 0
        for entry in recorded:
            if isinstance(entry.content, _ACTIONS):
                continue
            content = begun if isinstance(entry.content, Opened) else entry.content
            number += 1
            entries.append(replace(entry, number=number, content=content))
            step = steps.get(entry.number)
            for action in () if step is None else machine.step(step.event, step.at_us / 1000):
                number += 1
                entries.append(replace(entry, number=number, content=action))
    return Recording(recording.session, tuple(entries))


def _steps(opened: Opened | None, entries: Sequence[Entry], *, any_version: bool) -> list[_Step]:
    """The inputs of one term, each with what was decided on it."""
    if opened is None:
        raise NotReplayableError("its beginning is not there any more")
    if opened.record != "text":
        raise NotReplayableError("it was recorded without text (`record: none`), and words decide")
    if opened.machine_version != VERSION and not any_version:
        raise NotReplayableError(
            f"it was decided by version {opened.machine_version} of the turn machine, and this is version {VERSION}"
        )
    hole = missing(entries)
    if hole is not None:
        raise NotReplayableError(f"entries {hole[0]} to {hole[1]} are missing")
    steps: list[_Step] = []
    for entry in entries:
        content = entry.content
        if isinstance(content, Unknown):
            raise NotReplayableError(f"entry {entry.number} can't be read: {content.problem}")
        if not has_texts(content):
            raise NotReplayableError(f"entry {entry.number} was recorded without its text")
        if isinstance(content, _ACTIONS):
            if not steps:
                raise NotReplayableError(f"entry {entry.number} is a decision on nothing")
            last = steps[-1]
            actions = (*last.actions, cast("act.Action", content))
            steps[-1] = _Step(last.number, last.at_us, last.event, actions)
        elif _is_event(content):
            steps.append(_Step(entry.number, entry.at_us, cast("ev.Event", content), ()))
    return steps


def _is_event(content: Content) -> bool:
    return type(content).__module__ == ev.__name__
