"""What detection found, without what is the bot's own voice in the caller's microphone."""

from collections.abc import Callable

from natter_gateway.bots.model import Bot
from natter_gateway.conductor.hearing_side import HearingSide
from natter_gateway.echo import EchoFilter, level_dbfs
from natter_gateway.media.playout import PoppedFrame
from natter_gateway.turns import events as ev
from natter_proto import Speech, Transcript


class CallerSpeechFilter:
    """Of one session. `found` takes what the caller's own sounds mean for the turn machine. Times in ms."""

    def __init__(self, bot: Bot, hearing: HearingSide, found: Callable[[ev.Event], None]) -> None:
        self._hearing = hearing
        self._found = found
        self._echo = EchoFilter(
            min_speech_ms=bot.vad.min_speech_duration_ms, min_silence_ms=bot.vad.min_silence_duration_ms
        )

    def listens(self, at_ms: float) -> bool:
        """Whether `heard` has to be told of the microphone now: the bot is audible, or was just now."""
        return self._echo.listening(at_ms)

    def heard(self, pcm: bytes, end_sample: int, at_ms: float) -> None:
        """A frame of the caller's microphone."""
        self._pass_on(self._echo.heard(level_dbfs(pcm), end_sample, at_ms))

    def played(self, frame: PoppedFrame, at_ms: float) -> None:
        """A frame of voice is handed to the network."""
        if frame.pcm is not None:
            self._echo.played(level_dbfs(frame.pcm), at_ms)

    def on_speech(self, frame: Speech, now_ms: float) -> None:
        """Detection found something."""
        self._pass_on(self._echo.speech(frame, now_ms))

    def without_own_words(self, frame: Transcript) -> Transcript:
        """What recognition heard: of the bot's own words nothing is left, but it answers what was asked."""
        if self._echo.own_words(frame.through_sample):
            del frame.words[:]
        return frame

    def set_round_trip(self, round_trip_ms: float) -> None:
        """The caller's network changed."""
        self._echo.set_round_trip(round_trip_ms)

    def reconnected(self) -> None:
        """Another connection to the caller."""
        self._echo.reconnected()

    def _pass_on(self, frames: list[Speech]) -> None:
        for frame in frames:
            event = self._hearing.on_speech(frame)
            if event is not None:
                self._found(event)
