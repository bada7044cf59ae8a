"""A new client of the same caller: what it is told of the turn that goes on."""

from typing import Any

from natter_gateway.turns.events import Modality
from natter_proto import (
    EndReason,
    Header,
    Reply,
    ReplyKind,
    Speech,
    SpeechEvent,
    Tool,
    ToolCall,
    ToolOutcome,
    ToolResult,
    Transcript,
    Word,
)


def retold(stages: Any) -> list[tuple[Any, ...]]:
    """What a client that is ready now is told: types, and the text that they bring."""
    before = len(stages.sent)
    stages.conductor.retelling.tell()
    found: list[tuple[Any, ...]] = []
    for message in stages.sent[before:]:
        data = message.get("data", {})
        detail = data.get("spoken_status", data.get("final"))
        text = data.get("spoken_progress", {}).get("accumulated_text", data.get("text"))
        found.append(tuple(item for item in (message["type"], detail, text) if item is not None))
    return found


async def test_nothing_goes_on(new_stages: Any) -> None:
    stages = new_stages(greeting="Hello.")
    assert stages.conductor.retelling.first_turn == 1
    await stages.speak("what time is it")
    stages.segment(1, "It is ten.")
    stages.end_reply(1)
    stages.play(1_000)
    assert retold(stages) == []
    assert stages.conductor.retelling.first_turn == 2


async def test_the_caller_is_speaking(new_stages: Any) -> None:
    stages = new_stages()
    base = Header(session="abc", term=1, epoch=1)
    for event in (SpeechEvent.SPEECH_EVENT_ONSET, SpeechEvent.SPEECH_EVENT_SPEECH):
        stages.conductor.on_speech(Speech(header=base, event=event, sample=0))
    for text, final in (("what time", True), ("is", False)):
        words = [Word(text=word) for word in text.split()]
        stages.conductor.on_transcript(Transcript(header=base, words=words, final=final))
    assert retold(stages) == [
        ("user-started-speaking",),
        ("user-transcription", True, "what time"),
        ("user-transcription", False, "is"),
    ]
    assert stages.conductor.retelling.first_turn == 1


async def test_the_bot_is_thinking(new_stages: Any) -> None:
    stages = new_stages()
    await stages.speak("what time is it")
    assert retold(stages) == [
        ("user-started-speaking",),
        ("user-transcription", True, "what time is it"),
        ("user-stopped-speaking",),
        ("user-llm-text", "what time is it"),
        ("bot-llm-started",),
    ]
    assert stages.conductor.retelling.first_turn == 1


async def test_tools_have_run_for_the_reply_that_goes_on(new_stages: Any) -> None:
    weather = {"name": "weather", "description": "Weather.", "kind": "nats", "read_only": True}
    stages = new_stages(tools=[weather])
    await stages.speak("will it rain")
    call = ToolCall(id="model-0", name="weather", arguments="{}")
    for kind in (ReplyKind.REPLY_KIND_TOOL_CALLS, ReplyKind.REPLY_KIND_END):
        reason = EndReason.END_REASON_TOOL_CALLS
        stages.conductor.on_reply(Reply(header=stages.header(), kind=kind, tool_calls=[call], reason=reason))
    found = ToolResult(id="1.0.0", name="weather", outcome=ToolOutcome.TOOL_OUTCOME_RESULT, result="rain")
    stages.conductor.on_tool(Tool(header=stages.header(), result=found))
    assert retold(stages)[4:] == [
        ("bot-llm-started",),
        ("llm-function-call-started",),
        ("llm-function-call-stopped",),
    ]


async def test_the_bot_is_speaking(new_stages: Any) -> None:
    stages = new_stages()
    await stages.speak("what time is it")
    stages.segment(1, "It is ten.")
    stages.segment(2, "Time to go home.")
    stages.play(1_100)
    told = retold(stages)
    assert told[4:] == [
        ("bot-llm-started",),
        ("bot-tts-started",),
        ("bot-started-speaking",),
        ("bot-output", "new", "It is ten."),
        ("bot-output", "completed", "It is ten."),
        ("bot-output", "new", "Time to go home."),
        ("bot-output", "in-progress", "Time to"),
        ("bot-tts-text", "Time to"),
    ]
    stages.end_reply(2)
    stages.play(2_000)
    assert stages.types()[-3:] == ["bot-tts-stopped", "bot-llm-stopped", "bot-stopped-speaking"]
    assert stages.conductor.retelling.first_turn == 2


async def test_a_greeting_has_no_question(new_stages: Any) -> None:
    stages = new_stages(greeting="Hello there.")
    stages.conductor.greet()
    stages.segment_voice(1, "Hello there.")
    stages.play(100)
    assert [kind for kind, *_ in retold(stages)] == ["bot-tts-started", "bot-started-speaking", "bot-output"]


async def test_a_reply_in_writing(new_stages: Any) -> None:
    stages = new_stages()
    stages.conductor.typed("Hello", Modality.TEXT, run_immediately=True)
    segment = Reply(header=stages.header(1), kind=ReplyKind.REPLY_KIND_SEGMENT, text="Hi.", spoken="Hi.")
    stages.conductor.on_reply(segment)
    assert retold(stages)[-2:] == [("bot-llm-started",), ("bot-output", "new", "Hi.")]
