"""One context of a multi-context WebSocket, without the network: when its text is spoken.

After https://elevenlabs.io/docs/api-reference/text-to-speech/v-1-text-to-speech-voice-id-multi-stream-input.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

_DEFAULT_SCHEDULE: Final = (120, 160, 250, 290)


class SettingsChangedError(ValueError):
    """Voice settings of a context can be given once."""


@dataclass
class TextBuffer:
    """Text that waits to be spoken.

    Attributes:
        auto_mode: every message is spoken at once, nothing waits.
        schedule: how many characters have to wait before the first, second, … part is spoken unasked.
    """

    auto_mode: bool = False
    schedule: tuple[int, ...] = _DEFAULT_SCHEDULE
    _text: str = ""
    _parts: int = 0

    def add(self, text: str, *, flush: bool) -> str:
        """Take text; gives what is to be spoken now, perhaps nothing."""
        self._text += text
        enough = self.schedule[min(self._parts, len(self.schedule) - 1)]
        if not (flush or self.auto_mode or len(self._text) >= enough):
            return ""
        spoken, self._text = self._text, ""
        if not spoken.strip():
            # A lone space initialises a context, and is no speech.
            return ""
        self._parts += 1
        return spoken


@dataclass
class ContextSettings:
    """What a context was begun with; it holds for its life.

    Attributes:
        speed: of the voice: 0.7–1.2.
    """

    speed: float = 1.0
    schedule: tuple[int, ...] = _DEFAULT_SCHEDULE
    _voice_settings: Any = field(default=None)
    _first: bool = True

    def take(self, message: dict[str, Any]) -> None:
        """The settings of a message of the context.

        Raises:
            SettingsChangedError: others than in the first one.
        """
        settings: Any = message.get("voice_settings")
        if settings is not None and not self._first and settings != self._voice_settings:
            raise SettingsChangedError
        if self._first:
            self._first = False
            self._voice_settings = settings
            self.speed = float(settings.get("speed") or 1.0) if settings else 1.0
            generation: Any = message.get("generation_config") or {}
            schedule: Any = generation.get("chunk_length_schedule")
            self.schedule = tuple(int(length) for length in schedule) if schedule else _DEFAULT_SCHEDULE
