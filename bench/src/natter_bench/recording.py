"""What a caller kept of a call: frames sent, packets received, messages; and received packets turned into sound.

All times are seconds of one process's monotonic clock. A received frame's time is the arrival of the packet that
brought it, before any receive buffer; a lost frame's time is the arrival of the packet that showed the loss.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import numpy as np

from natter_bench.levels import SILENCE_DBFS, level_dbfs
from natter_bench.opus import FRAME_MS, RTP_CLOCK_HZ, RTP_TICKS_PER_FRAME, Decoder, OpusError, Pcm, carries_copy

VOICE_HZ: Final = 24_000
FRAME_SAMPLES: Final = VOICE_HZ * FRAME_MS // 1000

# Concealment fades to nothing within about 60 ms; what is lost beyond that is silence to any listener.
_CONCEALED_FRAMES = 3
# A jump of the RTP timestamp beyond this is a new stream, not a loss.
_LONGEST_LOSS_FRAMES = 250

Source = Literal["packet", "fec", "plc", "lost", "skipped"]
"""packet: as sent. fec: lost, and recovered from the next packet. plc: lost and concealed. lost: lost and too long to
conceal. skipped: the sender's clock went on without a packet, nothing was lost on the way."""


@dataclass(frozen=True, slots=True)
class SentFrame:
    """20 ms given to the wire. `lost`: the simulated network took it."""

    time_s: float
    dbfs: float
    lost: bool = False


@dataclass(frozen=True, slots=True)
class ReceivedPacket:
    """An RTP packet as it arrived. `sequence` is 16 bits, `timestamp` 32 bits of the 48 kHz clock."""

    time_s: float
    sequence: int
    timestamp: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class ReceivedFrame:
    """Received sound. `sample` is its place on the sender's own timeline, in 24 kHz samples since the first packet."""

    time_s: float
    dbfs: float
    sample: int
    source: Source
    pcm: Pcm


@dataclass(frozen=True, slots=True)
class Message:
    """A text message of the data channel. RTVI ones have their `type`; others (signalling) `type` "signalling"."""

    time_s: float
    type: str
    data: Any
    id: str | None = None


@dataclass(slots=True)
class Recording:
    """One call. `packets` are in order of arrival."""

    sent: list[SentFrame] = field(default_factory=list[SentFrame])
    packets: list[ReceivedPacket] = field(default_factory=list[ReceivedPacket])
    messages: list[Message] = field(default_factory=list[Message])
    dropped_incoming: int = 0
    """Packets that the simulated network took on their way to the caller."""

    def frames(self) -> list[ReceivedFrame]:
        """The received sound, decoded in the sender's order. Costs about 25 µs a packet: ask once."""
        return decode(self.packets)

    def clear(self) -> None:
        """Forget everything, in a call so long that its recording would fill the memory."""
        self.sent.clear()
        self.packets.clear()
        self.messages.clear()

    def of_type(self, *types: str, after_s: float = float("-inf")) -> list[Message]:
        """Messages of these types that arrived after a time."""
        return [message for message in self.messages if message.type in types and message.time_s > after_s]


class FrameDecoder:
    """Packets in the sender's order to frames; what is missing between two packets becomes FEC, PLC or `lost` frames.

    A packet older than one already decoded is counted in `late` and gives nothing.
    """

    def __init__(self) -> None:
        self._decoder = Decoder(VOICE_HZ)
        self._next_timestamp: int | None = None
        self._last_sequence = 0
        self._sample = 0
        self.late = 0
        self.undecodable = 0

    def feed(self, packet: ReceivedPacket) -> list[ReceivedFrame]:
        """The frames that this packet brings, or shows to be missing."""
        frames: list[ReceivedFrame] = []
        if self._next_timestamp is not None:
            if _signed16(packet.sequence - self._last_sequence) <= 0:
                self.late += 1
                return frames
            skipped = (packet.timestamp - self._next_timestamp) & 0xFFFFFFFF
            # A sender may pause its clock or start it anew; only a forward step of a believable size is a loss.
            missing = skipped // RTP_TICKS_PER_FRAME if skipped < 1 << 31 else 0
            if 0 < missing <= _LONGEST_LOSS_FRAMES:
                frames.extend(self._fill(packet, missing, sequence_gap=packet.sequence != self._expected_sequence()))
        try:
            pcm = self._decoder.decode(packet.payload)
        except OpusError:
            self.undecodable += 1
            pcm = np.zeros(FRAME_SAMPLES, dtype=np.int16)
        frames.append(self._frame(packet.time_s, "packet", pcm))
        self._last_sequence = packet.sequence
        ticks = len(pcm) * RTP_CLOCK_HZ // VOICE_HZ
        self._next_timestamp = (packet.timestamp + ticks) & 0xFFFFFFFF
        return frames

    def _expected_sequence(self) -> int:
        return (self._last_sequence + 1) & 0xFFFF

    def _fill(self, packet: ReceivedPacket, missing: int, *, sequence_gap: bool) -> Iterable[ReceivedFrame]:
        if not sequence_gap:
            for _ in range(missing):
                yield self._frame(packet.time_s, "skipped", np.zeros(FRAME_SAMPLES, dtype=np.int16))
            return
        copy = carries_copy(packet.payload)
        for index in range(missing):
            last = index == missing - 1
            if last and copy:
                yield self._frame(packet.time_s, "fec", self._decoder.recover(packet.payload))
            elif index < _CONCEALED_FRAMES:
                yield self._frame(packet.time_s, "plc", self._decoder.conceal())
            else:
                yield self._frame(packet.time_s, "lost", np.zeros(FRAME_SAMPLES, dtype=np.int16))

    def _frame(self, time_s: float, source: Source, pcm: Pcm) -> ReceivedFrame:
        level = SILENCE_DBFS if source in ("lost", "skipped") else level_dbfs(pcm)
        frame = ReceivedFrame(time_s, level, self._sample, source, pcm)
        self._sample += len(pcm)
        return frame


def decode(packets: Iterable[ReceivedPacket]) -> list[ReceivedFrame]:
    """All packets of a call to frames, put into the sender's order first."""
    ordered: list[tuple[int, ReceivedPacket]] = []
    extended = 0
    last: int | None = None
    for packet in packets:
        step = 0 if last is None else _signed16(packet.sequence - last)
        extended += step
        last = packet.sequence
        ordered.append((extended, packet))
    ordered.sort(key=lambda item: item[0])
    decoder = FrameDecoder()
    frames: list[ReceivedFrame] = []
    for _, packet in ordered:
        frames.extend(decoder.feed(packet))
    return frames


def message_of(time_s: float, body: Mapping[str, Any]) -> Message:
    """A parsed data-channel message. RTVI has a label; signalling carries its body under "message"."""
    kind = str(body.get("type", ""))
    identity = body.get("id")
    data = body.get("message") if kind == "signalling" else body.get("data")
    return Message(time_s, kind, data, identity if isinstance(identity, str) else None)


def _signed16(value: int) -> int:
    return ((value + 0x8000) & 0xFFFF) - 0x8000
