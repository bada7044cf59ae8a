"""What the page is told of a conversation: the conductor's decisions as RTVI messages, in the order clients need."""

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from natter_gateway.context import ToolRecord
from natter_gateway.latency import TurnLatency
from natter_gateway.reply import ReplyNews, SegmentHeard, SegmentShown, VoiceBegan, WordsHeard
from natter_gateway.rtvi import outgoing

SendToPage = Callable[[str], None]

_USER_ID: Final = "user"


class Page:
    """One session's page. Every `*_started` that was said gets its `*_stopped`."""

    def __init__(self, send: SendToPage) -> None:
        self._send = send
        self._model_open = False
        self._voice_open = False
        self._speaking = False

    def user_started(self) -> None:
        self._send(outgoing.message("user-started-speaking"))

    def user_stopped(self) -> None:
        self._send(outgoing.message("user-stopped-speaking"))

    def user_text(self, text: str, *, final: bool) -> None:
        timestamp = datetime.now(UTC).isoformat(timespec="milliseconds")
        self._send(outgoing.user_transcription(text, final=final, timestamp=timestamp, user_id=_USER_ID))

    def user_message(self, text: str) -> None:
        """The user's text as it is given to the model."""
        self._send(outgoing.text_message("user-llm-text", text))

    def model_started(self) -> None:
        self._model_open = True
        self._send(outgoing.message("bot-llm-started"))

    def model_text(self, text: str) -> None:
        self._send(outgoing.text_message("bot-llm-text", text))

    def reply_again(self) -> None:
        """What is open of a reply, to a client that was not told; its news so far have to follow."""
        if self._model_open:
            self._send(outgoing.message("bot-llm-started"))
        if self._voice_open:
            self._send(outgoing.message("bot-tts-started"))

    def cut_off(self) -> None:
        """A reply that another gateway spoke broke off: whatever the page shows of it is closed."""
        for kind in ("bot-interrupted", "bot-tts-stopped", "bot-llm-stopped", "bot-stopped-speaking"):
            self._send(outgoing.message(kind))

    def voice_arrived(self) -> None:
        """The first voice of a reply is here."""
        if not self._voice_open:
            self._voice_open = True
            self._send(outgoing.message("bot-tts-started"))

    def reply_news(self, notice: ReplyNews) -> None:
        """The caller hears or sees more of a reply."""
        match notice:
            case VoiceBegan():
                self._speaking = True
                self._send(outgoing.message("bot-started-speaking"))
            case SegmentShown():
                self._send(outgoing.bot_output_new(notice.segment_id, notice.text, spoken=notice.spoken))
            case WordsHeard():
                if notice.rest:
                    text = notice.heard + notice.rest
                    self._send(outgoing.bot_output_progress(notice.segment_id, text, notice.heard, notice.rest))
                self._send(outgoing.text_message("bot-tts-text", notice.words))
            case SegmentHeard():
                self._send(outgoing.bot_output_progress(notice.segment_id, notice.text, notice.text, ""))

    def reply_over(self, *, interrupted: bool) -> None:
        """Close what is open of a reply."""
        if interrupted and (self._speaking or self._voice_open or self._model_open):
            self._send(outgoing.message("bot-interrupted"))
        if self._voice_open:
            self._send(outgoing.message("bot-tts-stopped"))
        if self._model_open:
            self._send(outgoing.message("bot-llm-stopped"))
        if self._speaking:
            self._send(outgoing.message("bot-stopped-speaking"))
        self._voice_open = self._model_open = self._speaking = False

    def tool_started(self, name: str) -> None:
        """The model wants a tool run."""
        self._send(outgoing.message("llm-function-call-started", {"function_name": name}))

    def tool_in_progress(self, call_id: str, name: str, arguments: str) -> None:
        """The page is to run it: its handlers go off at this message, so that only the page's own tools get one."""
        parsed: Any = {}
        with suppress(orjson.JSONDecodeError):
            parsed = orjson.loads(arguments or "{}")
        self._send(outgoing.tool_order(call_id, name, parsed))

    def tool_stopped(self, record: ToolRecord) -> None:
        """What became of it."""
        data = {
            "tool_call_id": record.id,
            "function_name": record.name,
            "cancelled": record.outcome == "cancelled",
            "result": {"outcome": record.outcome, "text": record.result},
        }
        self._send(outgoing.message("llm-function-call-stopped", data))

    def latency(self, latency: TurnLatency) -> None:
        """A turn's latency, as an extra key of RTVI's own metrics message."""
        contributions = [
            {"name": mark.value, "ms": round(value, 1), "hidden_ms": round(latency.hidden_ms.get(mark, 0.0), 1)}
            for mark, value in latency.contributions_ms.items()
        ]
        data: dict[str, Any] = {
            "ttfb": [{"processor": "natter", "value": round(latency.total_ms / 1000, 4)}],
            "natter": {
                "turn": latency.turn,
                "latency": {"total_ms": round(latency.total_ms, 1), "contributions": contributions},
            },
        }
        self._send(outgoing.message("metrics", data))

    def usage(self, prompt_tokens: int, completion_tokens: int) -> None:
        """What a generation took."""
        total = prompt_tokens + completion_tokens
        tokens = {"prompt_tokens": prompt_tokens, "completion_tokens": completion_tokens, "total_tokens": total}
        self._send(outgoing.message("metrics", {"tokens": [tokens]}))

    def error(self, words: str, *, fatal: bool = False) -> None:
        self._send(outgoing.error(words, fatal=fatal))
