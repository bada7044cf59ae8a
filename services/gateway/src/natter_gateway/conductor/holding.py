"""Holds the voice and lets it go on, and tells tts where the caller's ear is."""

from natter_gateway.conductor.frames import FrameWriter
from natter_gateway.media.playout import Playout
from natter_gateway.reply import Reply
from natter_proto import VOICE_RATE_HZ


class Holding:
    """Of one session's playout."""

    def __init__(self, playout: Playout, frames: FrameWriter) -> None:
        self._playout = playout
        self._frames = frames

    def hold(self) -> None:
        """The caller may be interrupting: nothing plays."""
        self._playout.hold()
        if (at := self._playout.held_at) is not None:
            self.say_position(at[0], at[1], held=True)

    def resume(self, reply: Reply | None) -> None:
        """Go on from the beginning of the word that was cut."""
        at = self._playout.held_at
        if at is None or reply is None:
            self._playout.resume()
            return
        begin = reply.word_begin(at[0][2], at[1])
        self._playout.resume(at[0], begin)
        self.say_position(at[0], begin, held=False)

    def say_position(self, key: tuple[int, ...], sample: int, *, held: bool) -> None:
        """Tell tts that playout is at `sample` of a segment."""
        turn, attempt, segment = key
        queued_ms = self._playout.queued_samples * 1000 // VOICE_RATE_HZ
        self._frames.playout((turn, attempt, segment), sample, queued_ms, held=held)
