"""One browser tab: waiting for what the bot does, and what passed through the browser."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, cast

import av
import numpy as np
from playwright.sync_api import Error, Page

RATE_HZ: Final = 16_000
"""Of what was recorded."""
_POLL_MS: Final = 50
_REPORTED_MESSAGES: Final = 60


@dataclass(frozen=True, slots=True)
class Message:
    """One RTVI message of the data channel; `at_ms` is the page's `performance.now()`."""

    type: str
    data: Mapping[str, Any]
    at_ms: float


@dataclass(frozen=True, slots=True)
class Sound:
    """A stretch of sound above −45 dBFS with no more than 400 ms of quiet inside; `performance.now()` in ms."""

    from_ms: float
    to_ms: float | None
    """None: still going on."""


class Tab:
    """A page and the instruments in it. `page` is Playwright's."""

    def __init__(self, page: Page, folder: Path) -> None:
        self.page: Final = page
        self.problems: Final[list[str]] = []
        """What the page complained of: exceptions, errors on its console."""
        self.addresses: Final[list[str]] = []
        """Every address that the page asked for."""
        self._folder = folder
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        page.on("console", lambda line: self.problems.append(line.text) if line.type == "error" else None)
        page.on("request", lambda request: self.addresses.append(request.url))

    def now_ms(self) -> float:
        """The page's clock."""
        return float(self.page.evaluate("performance.now()"))

    def messages(self, *, after_ms: float = 0, before_ms: float = float("inf")) -> list[Message]:
        """RTVI messages that the page received in a window, in their order."""
        found = (_message(each) for each in self._noted("messages") if each.get("label") == "rtvi-ai")
        return [message for message in found if after_ms < message.at_ms < before_ms]

    def sent(self) -> list[Message]:
        """RTVI messages that the client sent."""
        return [_message(each) for each in self._noted("sent") if each.get("label") == "rtvi-ai"]

    def receive(self, message: Mapping[str, Any]) -> None:
        """Have the page receive a message on its newest data channel, as if the server had sent it."""
        self.page.evaluate(
            "(data) => instruments.channels.at(-1).dispatchEvent(new MessageEvent('message', { data }))",
            json.dumps(message),
        )

    def wait_for(self, kind: str, *, after_ms: float = 0, within_s: float = 15, **data: Any) -> Message:
        """The first message of a type after a time whose data has the fields given.

        Raises Playwright's TimeoutError when there is none in time.
        """
        handle = self.page.wait_for_function(
            """([type, after, data]) => instruments.messages.find((each) => each.type === type && each.at > after
                && Object.entries(data).every(([name, value]) => each.data?.[name] === value))""",
            arg=[kind, after_ms, data],
            timeout=within_s * 1000,
            polling=_POLL_MS,
        )
        return _message(handle.json_value())

    def wait_for_end(self, of: Literal["microphone", "voice"], *, after_ms: float = 0, within_s: float = 30) -> Sound:
        """The first stretch of sound that ends after a time, once it is over."""
        handle = self.page.wait_for_function(
            "([of, after]) => instruments[of].find((each) => each.to !== null && each.to > after)",
            arg=[of, after_ms],
            timeout=within_s * 1000,
            polling=_POLL_MS,
        )
        return _sound(handle.json_value())

    def wait_for_quiet(self, *, within_s: float = 30) -> None:
        """Until the bot is not heard any more."""
        self.page.wait_for_function(
            "() => instruments.voice.every((each) => each.to !== null)", timeout=within_s * 1000, polling=_POLL_MS
        )

    def sounds(self, of: Literal["microphone", "voice"]) -> list[Sound]:
        """When the microphone was spoken into (muted or not), or the bot heard."""
        return [_sound(each) for each in self._noted(of)]

    def bot_audio(self, connection: int = -1) -> np.ndarray[Any, np.dtype[np.int16]]:
        """The bot's voice as it came out of the browser's decoder, at `RATE_HZ`; of one peer connection, the last one
        by default."""
        url = cast("str", self.page.evaluate(f"instruments.recordings.at({connection}).take()"))
        return _decode(base64.b64decode(url.partition(",")[2]))

    def audio_bytes(self) -> int:
        """Of RTP that the newest peer connection has received, whatever the page does with it."""
        found = self.page.evaluate("""async () => [...(await instruments.connections.at(-1).getStats()).values()]
            .filter((each) => each.type === "inbound-rtp" && each.kind === "audio")
            .reduce((sum, each) => sum + each.bytesReceived, 0)""")
        return int(found)

    def screenshot(self, name: str) -> Path:
        """Take a picture of what is to be seen now."""
        path = self._folder / f"{name}.png"
        self.page.screenshot(path=path)
        return path

    def report(self) -> str:
        """For the reader of a failure: a picture, and the last messages."""
        try:
            lines = [f"{each.at_ms:9.0f} {each.type} {dict(each.data)}" for each in self.messages() if _is_news(each)]
            return "\n".join([f"screenshot: {self.screenshot('failed')}", *self.problems, *lines[-_REPORTED_MESSAGES:]])
        except Error as error:
            return f"and the page cannot be looked at: {error.message}"

    def _noted(self, what: str) -> Sequence[dict[str, Any]]:
        return cast("list[dict[str, Any]]", self.page.evaluate(f"instruments.{what}"))


def _message(fields: dict[str, Any]) -> Message:
    data: Any = fields.get("data")
    return Message(
        str(fields.get("type")), cast("dict[str, Any]", data) if isinstance(data, dict) else {}, fields["at"]
    )


def _is_news(message: Message) -> bool:
    """Not one of the many that come word by word."""
    by_word = message.type in ("bot-llm-text", "bot-tts-text") or message.data.get("spoken_status") == "in-progress"
    return not by_word


def _sound(fields: dict[str, Any]) -> Sound:
    return Sound(fields["from"], fields["to"])


def _decode(webm: bytes) -> np.ndarray[Any, np.dtype[np.int16]]:
    resampler = av.AudioResampler(format="s16", layout="mono", rate=RATE_HZ)
    with av.open(io.BytesIO(webm), "r") as container:
        frames = [out for frame in container.decode(audio=0) for out in resampler.resample(frame)]
    frames += resampler.resample(None)
    return np.concatenate([frame.to_ndarray().reshape(-1) for frame in frames]).astype(np.int16)
