"""Where in the session lies what a vendor heard at a time of its own stream. Pure.

Vendors count seconds of the audio that one connection was sent. The session's samples run on while nothing is sent,
jump over what was lost, and go back when audio is sent again on a new connection.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import Final

from natter_stt.provider import SAMPLE_RATE_HZ

# A jump comes with a stretch of speech; vendors speak of the last seconds only.
MAX_JUMPS: Final = 256


class Timeline:
    """What one connection was sent, in order."""

    def __init__(self) -> None:
        self._sent = 0
        self._streams: list[int] = []  # where in the stream a run of the session's samples begins
        self._samples: list[int] = []  # the session's sample there

    @property
    def sent_samples(self) -> int:
        """How much was sent."""
        return self._sent

    def sent(self, first_sample: int, count: int) -> None:
        """`count` samples of the session from `first_sample` on were sent."""
        if not self._streams or self._samples[-1] + self._sent - self._streams[-1] != first_sample:
            self._streams.append(self._sent)
            self._samples.append(first_sample)
            if len(self._streams) > MAX_JUMPS:
                del self._streams[0], self._samples[0]
        self._sent += count

    def silence(self, count: int, at_sample: int) -> None:
        """`count` samples that are not the session's were sent: all of them count as `at_sample`'s neighbours."""
        self.sent(at_sample - count, count)

    def begin(self, stream_s: float) -> int:
        """The session's sample at a time of the stream, of something that begins there."""
        return self._at(round(stream_s * SAMPLE_RATE_HZ))

    def end(self, stream_s: float) -> int:
        """The session's sample at a time of the stream, of something that ends there: before a jump, not behind it."""
        at = round(stream_s * SAMPLE_RATE_HZ)
        return self._at(at - 1) + 1 if at > 0 else self._at(0)

    def _at(self, stream: int) -> int:
        if not self._streams:
            return stream
        run = max(0, bisect_right(self._streams, stream) - 1)
        return self._samples[run] + stream - self._streams[run]
