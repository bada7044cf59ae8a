"""Who has the floor, and with what words: calls over real speech detection and emulated vendors."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from natter_bench.words import normalise
from natter_emulators.marks import caller_speech, count_words
from natter_emulators.script import Messages, Reply
from natter_testing.tool_calls import WITHIN_S, ToolTalk, asked, is_heard
from natter_testing.turn_calls import MISHEARD, TurnBot, TurnWorld, silences_s

pytestmark = [pytest.mark.timeout(180), pytest.mark.asyncio(loop_scope="module")]

QUESTION = "What is the capital of France?"
FIRST_HALF = "Please remember that I like tea."
SECOND_HALF = "And milk and sugar, please."
STORY = "Once there was a dog and a cat in a small house near the sea. Every morning the dog went down to the beach."
BEGINNING = "Once there was a dog"
BRIEF = "That is a good question."
PARIS = "Paris is the capital of France."
OF_THE_CALLER = ("user-started-speaking", "user-stopped-speaking", "user-transcription", "user-llm-text")
OF_THE_VOICE = ("bot-started-speaking", "bot-tts-started", "bot-tts-text")
HELD_S = 0.2
"""More than any pause between words of the emulated voice."""
TYPED_BEFORE_END_MS = 300


def story_first(messages: Messages) -> Reply:
    return Reply(STORY if asked(messages) == 1 else BRIEF)


def to_what_was_understood(messages: Messages) -> Reply:
    """What the model was asked can be heard."""
    return Reply(PARIS if "france" in str(messages[-1]["content"]).lower() else STORY)


BOTS = (
    TurnBot("storyteller", story_first),
    # However long this machine takes to hear that the caller goes on.
    TurnBot("patient", story_first, {"reopen_within_ms": 2_000}),
    # The final counts, however late it is on this machine.
    TurnBot("guesser", to_what_was_understood, {"final_grace_ms": 3_000}, MISHEARD),
    TurnBot("waiter", to_what_was_understood, {"final_grace_ms": 3_000, "speculation": False}, MISHEARD),
    TurnBot("typist", lambda _messages: Reply(BRIEF)),
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[TurnWorld]:
    for text in (QUESTION, FIRST_HALF, SECOND_HALF, "Yeah.", "Stop.", "Tell me more."):
        await asyncio.to_thread(caller_speech, text)
    async with TurnWorld.open(tmp_path_factory.mktemp("turn-taking"), BOTS) as world:
        yield world


async def begun(talk: ToolTalk, after_s: float) -> float:
    """Wait until so much of the story was heard that it is not taken back any more; when that was."""
    for _ in BEGINNING.split():
        after_s = (await talk.wait_for("bot-tts-text", after_s)).time_s
    return after_s


def told(talk: ToolTalk, after_s: float, *types: str) -> list[tuple[str, Any]]:
    return [(one.type, one.data) for one in talk.caller.recording.of_type(*types, after_s=after_s)]


async def test_a_backchannel_holds_the_reply_and_is_nothing_else(world: TurnWorld) -> None:
    async with world.call("storyteller") as talk:
        asked_s = await talk.ask(QUESTION)
        begun_s = await begun(talk, asked_s)
        await talk.ask("Yeah.")
        heard = await talk.hear_reply(asked_s)
        assert max(silences_s(talk, begun_s)) > HELD_S
        # It goes on with the word that was cut, to its end.
        count = count_words(STORY, heard.split())
        assert not count.lost, heard
        assert len(count.doubled) <= 1, heard
        assert told(talk, begun_s, "bot-interrupted", *OF_THE_CALLER) == []
        again_s = await talk.ask("Tell me more.")
        assert is_heard(BRIEF, again := await talk.hear_reply(again_s)), again
    assert (await world.asked("storyteller"))[-1] == [
        ("user", normalise(QUESTION)),
        ("assistant", normalise(STORY)),
        ("user", ["tell", "me", "more"]),
    ]


async def test_stop_interrupts_and_what_was_heard_is_remembered(world: TurnWorld) -> None:
    async with world.call("storyteller") as talk:
        asked_s = await talk.ask(QUESTION)
        begun_s = await begun(talk, asked_s)
        await talk.ask("Stop.")
        answered = await talk.wait_for("user-llm-text", begun_s)
        await talk.hear_reply(answered.time_s)
        assert len(told(talk, begun_s, "bot-interrupted")) == 1
        heard = talk.heard(asked_s).split()
    question, (role, remembered), stop = (await world.asked("storyteller"))[-1]
    assert (question, role, stop) == (("user", normalise(QUESTION)), "assistant", ("user", ["stop"]))
    # The words before the answer to "stop" are those that the model is told it has said, but for one that was cut.
    of_the_story = heard[: -len(normalise(BRIEF))]
    assert heard == [*of_the_story, *normalise(BRIEF)]
    assert of_the_story == normalise(STORY)[: len(of_the_story)]
    assert len(BEGINNING.split()) <= len(of_the_story) < len(normalise(STORY))
    assert remembered == normalise(STORY)[: len(remembered)]
    assert abs(len(remembered) - len(of_the_story)) <= 1, (remembered, heard)


async def test_who_goes_on_as_the_reply_begins_says_one_message(world: TurnWorld) -> None:
    async with world.call("patient") as talk:
        first = await talk.caller.prepare(caller_speech(FIRST_HALF).pcm, 16_000)
        second = await talk.caller.prepare(caller_speech(SECOND_HALF).pcm, 16_000)
        begun_s = time.monotonic()
        await talk.caller.say(first)
        said_s = time.monotonic()
        assert await talk.caller.wait_for_voice(after_s=said_s, within_s=WITHIN_S)
        await talk.caller.say(second)
        again_s = time.monotonic()
        await talk.hear_reply(again_s)
        # The reply to both halves is whole, and the model never learns of the other one.
        requests = await world.asked("patient")
        whole = [("user", normalise(f"{FIRST_HALF} {SECOND_HALF}"))]
        assert requests[-1] == whole
        # Before it there may be guesses at less.
        assert any(("user", normalise(FIRST_HALF)) in request for request in requests[:-1])
        (turn,) = await talk.turns()
        assert count_words(f"{FIRST_HALF} {SECOND_HALF}", normalise(turn["user"])).exact
        assert turn["bot"] == STORY
        assert told(talk, begun_s, "error") == []


async def test_a_reply_to_words_that_were_others_is_never_heard(world: TurnWorld) -> None:
    async with world.call("guesser") as talk:
        cancelled = world.emulators.openai.cancelled
        asked_s = await talk.ask(QUESTION)
        heard = await talk.hear_reply(asked_s)
        assert is_heard(PARIS, heard), (heard, await world.asked("guesser"))
        (guess, final) = await world.asked("guesser")
        assert final == [("user", normalise(QUESTION))]
        assert guess[0][1][:-1] == normalise(QUESTION)[:-1]
        assert guess != final
        # Its connection was closed before it was complete.
        assert world.emulators.openai.cancelled == cancelled + 1
        (turn,) = await talk.turns()
        assert turn["bot"] == PARIS
        assert told(talk, asked_s, "error", "bot-interrupted") == []


async def test_without_speculation_the_model_is_asked_once_a_turn(world: TurnWorld) -> None:
    async with world.call("waiter") as talk:
        for turn in (1, 2):
            asked_s = await talk.ask(QUESTION)
            assert is_heard(PARIS, heard := await talk.hear_reply(asked_s)), heard
            assert len(await world.asked("waiter")) == turn
    assert (await world.asked("waiter"))[-1][-1] == ("user", normalise(QUESTION))


async def test_typed_text_joins_what_is_being_said(world: TurnWorld) -> None:
    async with world.call("typist") as talk:
        speech = caller_speech(FIRST_HALF)
        border = len(speech.pcm) - TYPED_BEFORE_END_MS * speech.rate_hz // 1000
        begin, end = [
            await talk.caller.prepare(pcm, speech.rate_hz) for pcm in (speech.pcm[:border], speech.pcm[border:])
        ]
        began_s = time.monotonic()
        await talk.caller.say(begin)
        talk.caller.send_text("And milk.")
        await talk.caller.say(end)
        assert is_heard(BRIEF, heard := await talk.hear_reply(began_s)), heard
        assert (await world.asked("typist"))[-1] == [("user", normalise(f"{FIRST_HALF} And milk."))]
        assert len(told(talk, began_s, "user-llm-text")) == 1


async def test_who_wants_no_voice_gets_none(world: TurnWorld) -> None:
    async with world.call("typist") as talk:
        typed_s = time.monotonic()
        talk.caller.send_text("Tell me more.", audio_response=False)
        stopped_s = (await talk.wait_for("bot-llm-stopped", typed_s)).time_s
        assert "".join(data["text"] for _, data in told(talk, typed_s, "bot-llm-text")) == BRIEF
        # The next turn is spoken: all that is ever heard is its reply.
        asked_s = await talk.ask(QUESTION)
        await talk.hear_reply(asked_s)
        assert is_heard(BRIEF, heard := talk.heard(typed_s)), heard
        assert all(one.time_s > asked_s for one in talk.caller.recording.of_type(*OF_THE_VOICE, after_s=typed_s))
        assert stopped_s < asked_s
