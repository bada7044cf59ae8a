"""Whether the bot is audible right now, as cheaply as it can be told: for waiting, never for measuring."""

from __future__ import annotations

from natter_bench.levels import SILENCE_DBFS, level_dbfs
from natter_bench.opus import Decoder, OpusError
from natter_bench.recording import ReceivedPacket

_EAR_HZ = 16_000
# A decoder's silence is not all zeros: single bits remain.
_SILENT_DBFS = -80.0


class Ear:
    """Level of packet after packet in order of arrival; `late` counts those that arrived after one sent later."""

    def __init__(self, late: int = 0) -> None:
        self._decoder = Decoder(_EAR_HZ)
        self._last: ReceivedPacket | None = None
        self._last_dbfs = SILENCE_DBFS
        self.late = late

    def level_dbfs(self, packet: ReceivedPacket) -> float:
        """Level of the packet's audio; that of the one before when it is late, or the same silence again."""
        last = self._last
        if last is not None:
            if (packet.sequence - last.sequence) & 0xFFFF >= 1 << 15:
                self.late += 1
                return self._last_dbfs
            if packet.payload == last.payload and self._last_dbfs < _SILENT_DBFS:
                # An idle sender repeats one packet of silence: half of most calls, and nothing to decode in it.
                self._last = packet
                return self._last_dbfs
        self._last = packet
        try:
            self._last_dbfs = level_dbfs(self._decoder.decode(packet.payload))
        except OpusError:
            self._last_dbfs = SILENCE_DBFS
        return self._last_dbfs
