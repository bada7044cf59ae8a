"""Messages to the page, as JSON text ready for the data channel."""

from typing import Any, Final

import orjson

LABEL: Final = "rtvi-ai"
PROTOCOL_VERSION: Final = "2.1.0"
_ORDER: Final = "llm-function-call-in-progress"
_PASSING: Final = frozenset({"bot-llm-text", "bot-tts-text", "metrics"})
"""`bot-output` says all of it once more."""


def message(kind: str, data: Any = None, request_id: str | None = None) -> str:
    """One RTVI envelope. `request_id` only where it answers a request."""
    envelope: dict[str, Any] = {"label": LABEL, "type": kind}
    if request_id is not None:
        envelope["id"] = request_id
    if data is not None:
        envelope["data"] = data
    return orjson.dumps(envelope).decode()


def is_order(text: str) -> bool:
    """Whether a message has the page run a tool."""
    return text.startswith(f'{{"label":"{LABEL}","type":"{_ORDER}"')


def is_passing(text: str) -> bool:
    """Whether later messages make up for this one: it shows progress only."""
    envelope = orjson.loads(text)
    match envelope.get("type"), envelope.get("data"):
        case "user-transcription", {"final": False}:
            return True
        case "bot-output", {"spoken_status": "in-progress"}:
            return True
        case kind, _:
            return kind in _PASSING


def tool_order(call_id: str, name: str, arguments: Any) -> str:
    """The page is to run a tool: `is_order`."""
    return message(_ORDER, {"tool_call_id": call_id, "function_name": name, "arguments": arguments})


def bot_ready(request_id: str, version: str, first_turn: int) -> str:
    """`first_turn`, an extra key: the first turn that is told of on the channel; those before are in the transcript."""
    about = {"library": "natter", "library_version": version}
    data = {"version": PROTOCOL_VERSION, "about": about, "natter": {"first_turn": first_turn}}
    return message("bot-ready", data, request_id)


def error(words: str, *, fatal: bool) -> str:
    """`fatal` makes the client disconnect."""
    return message("error", {"error": words, "fatal": fatal})


def error_response(request_id: str, words: str) -> str:
    return message("error-response", {"error": words}, request_id)


def server_response(request_id: str, topic: str, data: Any) -> str:
    return message("server-response", {"t": topic, "d": data}, request_id)


def user_transcription(text: str, *, final: bool, timestamp: str, user_id: str) -> str:
    return message("user-transcription", {"text": text, "final": final, "timestamp": timestamp, "user_id": user_id})


def text_message(kind: str, text: str) -> str:
    """`user-llm-text`, `bot-llm-text`, `bot-tts-text`, `bot-transcription`."""
    return message(kind, {"text": text})


def bot_output_new(segment_id: int, text: str, *, spoken: bool) -> str:
    """A segment appears; always the first word about it."""
    return message(
        "bot-output",
        {
            "text": text,
            "segment_id": segment_id,
            "will_be_spoken": spoken,
            "spoken_status": "new",
            "aggregated_by": "sentence",
        },
    )


def bot_output_progress(segment_id: int, text: str, heard: str, rest: str) -> str:
    """`heard` and `rest` together are `text`; with nothing left the segment is complete."""
    return message(
        "bot-output",
        {
            "text": text,
            "segment_id": segment_id,
            "will_be_spoken": True,
            "spoken_status": "in-progress" if rest else "completed",
            "spoken_progress": {"accumulated_text": heard, "remaining_text": rest},
            "aggregated_by": "sentence",
        },
    )


def renegotiate() -> str:
    """Ask the client for a new peer connection. SmallWebRTC's own envelope, beside RTVI."""
    return _signalling("renegotiate")


def peer_left() -> str:
    """Said before the server closes a connection, or the client tries to get it back."""
    return _signalling("peerLeft")


def _signalling(kind: str) -> str:
    return orjson.dumps({"type": "signalling", "message": {"type": kind}}).decode()
