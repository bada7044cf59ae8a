"""RTP packets in, numbered 20 ms frames out: the caller's microphone as every service hears it.

There is no jitter buffer: a packet in order is decoded and handed on at once, since services want audio early, not
evenly. Only behind a gap do packets wait, for the missing one: until two are waiting, or the first has waited for
`REORDER_WAIT_MS`. Then the gap is filled: up to 60 ms from the FEC copy in the next packet and from concealment; a
longer one is skipped, and the next frame says so. So a lost packet delays at most two frames, once.

Samples are numbered by the RTP timestamps, for the life of the session. Frames lie on a grid: `first_sample` is always
a multiple of 320, numbers only grow, and where they jump, or the stream begins anew, the frame is marked
`discontinuity`. Timestamps are the caller's word: one that cannot be true (far from the arrival clock, or backwards)
only moves the numbering by what the arrival clock says, and no packet can produce more than its own audio, 60 ms of
concealment and the zeros that fill a frame.

Pure: arrival times are passed in, and nothing here waits. Sources: RFC 3550 (appendix A.1 for sequence numbers that
restart), RFC 7587 (Opus in RTP, timestamps at 48 kHz).
"""

from dataclasses import dataclass
from typing import NamedTuple

from natter_gateway.media.libopus import OpusError
from natter_gateway.media.opus import OpusDecoder, has_fec, packet_samples_48k

RATE_HZ = 16_000
FRAME_SAMPLES = 320
FRAME_BYTES = 2 * FRAME_SAMPLES

REORDER_PACKETS = 2
"""So many packets waiting behind a gap mean that the missing one is lost."""
REORDER_WAIT_MS = 30.0
"""So long a wait means it too (the stream may have stopped behind the gap)."""
MAX_CONCEALED_SAMPLES = RATE_HZ * 60 // 1000

_SAMPLES_PER_MS = RATE_HZ // 1000
_PLC_STEP_SAMPLES = RATE_HZ // 400  # 2.5 ms
_MAX_LATE_PACKETS = 100  # older than this is no straggler: the numbering restarted (RFC 3550 A.1: MAX_MISORDER)
_MAX_DROPOUT_PACKETS = 3000  # further ahead than this, likewise (MAX_DROPOUT)
_MAX_AHEAD_MS = 10_000.0  # a timestamp may run so far ahead of the arrival clock between two packets
_MAX_BACK_SAMPLES = RATE_HZ  # and step back so far
_SEEN_MASK = (1 << 64) - 1
_ZEROS = bytes(FRAME_BYTES)
_NO_STREAM = -1


class MicFrame(NamedTuple):
    """20 ms of the caller's audio."""

    first_sample: int
    """Number of its first sample in the session, at 16 kHz; a multiple of 320."""
    pcm: bytes
    """640 bytes: 320 samples, s16le mono."""
    concealed: bool
    """Some of it was made from FEC or invented, since its packet did not arrive."""
    discontinuity: bool
    """It does not follow from the frame before: `first_sample` skipped ahead, or the sender's stream began anew."""
    arrival_ms: float
    """When the packet that completed it arrived, on the clock of the caller of `push`."""
    level_dbov: int | None
    """The sender's own measure of its loudness, 0 (loudest) to −127, if its packets carry one (RFC 6464)."""


@dataclass(slots=True)
class ReceiveCounters:
    """What happened to the packets so far. In packets unless named otherwise."""

    received: int = 0
    """Taken in: in order, or while still waited for."""
    lost: int = 0
    """Not there in time (they may still have come `late`)."""
    fec: int = 0
    """Of the lost ones: restored from the copy in the next packet."""
    concealed: int = 0
    """20 ms pieces that were invented."""
    late: int = 0
    duplicate: int = 0
    malformed: int = 0
    """No Opus, an impossible sequence number, or a timestamp whose audio was already out."""
    restarts: int = 0
    """Times the sender's sequence numbers or timestamps jumped and were mapped anew."""
    skipped_ms: int = 0
    """Audio that is missing for good, skipped over."""


class _Packet(NamedTuple):
    timestamp: int
    payload: bytes
    arrival_ms: float
    level_dbov: int | None


class MicReceiver:
    """One caller's incoming audio, over all of their peer connections.

    Feed every RTP packet to `push`; if `deadline_ms` is set after that, call `flush` at that time. Each returns the
    frames that became ready, oldest first. `restart` says that another peer connection follows.
    """

    def __init__(self, first_sample: int = 0) -> None:
        self.counters = ReceiveCounters()
        self.deadline_ms: float | None = None
        """When `flush` is due, on the clock of `arrival_ms`; None while nothing waits."""
        self.source: object | None = None
        """Whoever feeds it now, see `take_over`."""
        self._decoder = OpusDecoder(RATE_HZ)
        # Sequence numbers are unwrapped: `_expected` only grows within one stream.
        self._expected = _NO_STREAM
        self._seen = 0  # bit i: packet `_expected` - 1 - i was received
        self._suspect: int | None = None
        self._waiting: dict[int, _Packet] = {}
        # Timestamps: `_unwrapped` (48 kHz) grows with `_last_timestamp`; sample = `_origin_sample` + difference / 3.
        self._last_timestamp: int | None = None
        self._last_arrival_ms = 0.0
        self._unwrapped = 0
        self._origin_unwrapped = 0
        self._origin_sample = 0
        # What is written next: `_frame` holds the `_fill` samples before `_next` on the grid.
        self._next = _grid_up(first_sample)
        self._frame = bytearray(FRAME_BYTES)
        self._fill = 0
        self._frame_concealed = False
        self._discontinuity = False
        self._arrival_ms = 0.0
        self._level_dbov: int | None = None
        self._out: list[MicFrame] = []

    @property
    def next_sample(self) -> int:
        """The number that the next sample gets if nothing is skipped."""
        return self._next

    def push(
        self, sequence_number: int, timestamp: int, payload: bytes, arrival_ms: float, level_dbov: int | None = None
    ) -> list[MicFrame]:
        """Take one packet (16-bit sequence number, 32-bit timestamp at 48 kHz) and return the frames now ready."""
        packet = _Packet(timestamp, payload, arrival_ms, level_dbov)
        expected = self._expected
        if expected == _NO_STREAM:
            expected = self._expected = sequence_number
        ahead = (sequence_number - expected) & 0xFFFF
        if ahead >= 0x8000:
            ahead -= 0x10000
        if ahead == 0 and not self._waiting:
            self._suspect = None
            self.counters.received += 1
            self._advance(1, received=True)
            self._play(packet, lost=0)
        elif not -_MAX_LATE_PACKETS <= ahead <= _MAX_DROPOUT_PACKETS:
            self._push_suspect(sequence_number, packet)
        elif ahead < 0:
            if self._seen >> (-ahead - 1) & 1:
                self.counters.duplicate += 1
            else:
                self.counters.late += 1
        elif expected + ahead in self._waiting:
            self.counters.duplicate += 1
        else:
            self.counters.received += 1
            self._waiting[expected + ahead] = packet
            self._release(arrival_ms)
        return self._take()

    def flush(self, now_ms: float) -> list[MicFrame]:
        """Stop waiting for what has been missing for too long at `now_ms`; harmless when called early."""
        self._release(now_ms)
        return self._take()

    def restart(self, first_sample: int) -> list[MicFrame]:
        """Begin another stream (a new peer connection, another source), whose numbers have no relation to the last.

        Its first packet's audio is numbered from `first_sample`, rounded up to the grid, or from what follows the last
        frame if that is more; its first frame is marked. Returns what was still waiting of the old stream.
        """
        self._drain()
        self._pad_frame()
        frames = self._take()
        self._skip(_grid_up(first_sample))
        self._discontinuity = True
        self._expected = _NO_STREAM
        self._suspect = None
        self._seen = 0
        self._last_timestamp = None
        self._decoder.reset()
        return frames

    def take_over(self, source: object, now_ms: float) -> list[MicFrame]:
        """Make `source` the one that feeds this receiver; where there was one before, `restart` by the time passed."""
        first = self.source is None
        self.source = source
        if first:
            return []
        passed = int((now_ms - self._last_arrival_ms) * _SAMPLES_PER_MS) - FRAME_SAMPLES
        return self.restart(self._next + max(0, passed))

    # Sequence numbers

    def _advance(self, packets: int, *, received: bool) -> None:
        self._expected += packets
        self._seen = (self._seen << min(packets, 64) | received) & _SEEN_MASK

    def _push_suspect(self, sequence_number: int, packet: _Packet) -> None:
        """A number far off: believed when the next one follows it (the sender restarted), else dropped."""
        if sequence_number != self._suspect:
            self._suspect = (sequence_number + 1) & 0xFFFF
            self.counters.malformed += 1
            return
        self._drain()
        self._suspect = None
        self._seen = 0
        self._expected = sequence_number
        self._last_timestamp = self._rebase(packet, 0)
        self.counters.received += 1
        self._advance(1, received=True)
        self._play(packet, lost=0)

    def _release(self, now_ms: float) -> None:
        """Play what is in order, and give gaps up whose time has come."""
        waiting = self._waiting
        while waiting:
            number = min(waiting)
            lost = number - self._expected
            if lost and len(waiting) < REORDER_PACKETS and now_ms < waiting[number].arrival_ms + REORDER_WAIT_MS:
                self.deadline_ms = waiting[number].arrival_ms + REORDER_WAIT_MS
                return
            self._play_waiting(number, lost)
        self.deadline_ms = None

    def _drain(self) -> None:
        while self._waiting:
            number = min(self._waiting)
            self._play_waiting(number, number - self._expected)
        self.deadline_ms = None

    def _play_waiting(self, number: int, lost: int) -> None:
        if lost:
            self.counters.lost += lost
            self._advance(lost, received=False)
        self._advance(1, received=True)
        self._play(self._waiting.pop(number), lost)

    # Timestamps

    def _position(self, packet: _Packet, samples: int) -> int:
        """Number of the packet's first sample, by its timestamp if that can be true, else by its arrival."""
        last = self._last_timestamp
        self._last_timestamp = packet.timestamp
        if last is None:
            return self._map(self._next)
        step = (packet.timestamp - last) & 0xFFFFFFFF
        if step >= 0x80000000:
            step -= 0x100000000
        elapsed_ms = packet.arrival_ms - self._last_arrival_ms
        position = self._origin_sample + (self._unwrapped + step - self._origin_unwrapped) // 3
        if step / 48 > elapsed_ms + _MAX_AHEAD_MS or position < self._next - _MAX_BACK_SAMPLES:
            self._rebase(packet, samples)
            return self._origin_sample
        self._unwrapped += step
        return position

    def _map(self, sample: int) -> int:
        self._origin_sample = sample
        self._origin_unwrapped = self._unwrapped
        return sample

    def _rebase(self, packet: _Packet, samples: int) -> int:
        """Number the packet by its arrival: as far behind the last one as it arrived later. Returns its timestamp."""
        late_ms = max(0.0, packet.arrival_ms - self._last_arrival_ms)
        skipped = int(late_ms * _SAMPLES_PER_MS) - samples
        # Little is no gap but jitter.
        self._map(_grid_up(self._next + skipped) if skipped > MAX_CONCEALED_SAMPLES else self._next)
        self._discontinuity = True
        self.counters.restarts += 1
        return packet.timestamp

    # Audio

    def _play(self, packet: _Packet, lost: int) -> None:
        """Decode one packet to its place, after filling or skipping what is missing before it."""
        if not packet.payload:
            return  # padding only, as bandwidth probes are
        try:
            samples = packet_samples_48k(packet.payload) // 3
        except OpusError:
            self.counters.malformed += 1
            return
        position = self._position(packet, samples)
        self._last_arrival_ms = self._arrival_ms = packet.arrival_ms
        self._level_dbov = packet.level_dbov
        missing = position - self._next
        if missing > MAX_CONCEALED_SAMPLES:
            self._skip(position)
        elif missing > 0:
            self._conceal(packet.payload, missing, lost)
        try:
            pcm = self._decoder.decode(packet.payload)
        except OpusError:
            self.counters.malformed += 1
            return
        if missing < 0:
            pcm = pcm[-2 * missing :]
            if not pcm:
                self.counters.malformed += 1
                return
        self._write(pcm, concealed=False)

    def _conceal(self, payload: bytes, missing: int, lost: int) -> None:
        made = missing - missing % _PLC_STEP_SAMPLES
        recovered = lost > 0 and has_fec(payload)
        if made:
            try:
                pcm = self._decoder.decode_fec(payload, made) if lost else self._decoder.conceal(made)
            except OpusError:
                pcm = bytes(2 * made)
            self._write(pcm, concealed=True)
        if made < missing:
            self._write(bytes(2 * (missing - made)), concealed=True)
        self.counters.fec += recovered
        self.counters.concealed += max(0, -(-missing // FRAME_SAMPLES) - recovered)

    def _write(self, pcm: bytes, *, concealed: bool) -> None:
        """Append samples, and emit each frame of the grid that they complete."""
        if self._fill == 0 and len(pcm) == FRAME_BYTES:
            self._frame_concealed = concealed
            self._next += FRAME_SAMPLES
            self._emit(pcm)
            return
        start = 0
        while start < len(pcm):
            piece = pcm[start : start + FRAME_BYTES - 2 * self._fill]
            start += len(piece)
            self._frame[2 * self._fill : 2 * self._fill + len(piece)] = piece
            self._frame_concealed |= concealed
            self._fill += len(piece) // 2
            self._next += len(piece) // 2
            if self._fill == FRAME_SAMPLES:
                self._emit(bytes(self._frame))

    def _skip(self, position: int) -> None:
        """Go on at `position`; what lies between is missing, save the zeros that fill begun frames of the grid."""
        if position <= self._next:
            return
        self.counters.skipped_ms += (position - self._next) // _SAMPLES_PER_MS
        if position // FRAME_SAMPLES > self._next // FRAME_SAMPLES:
            self._pad_frame()
            self._discontinuity |= position // FRAME_SAMPLES > self._next // FRAME_SAMPLES
            self._next = position - position % FRAME_SAMPLES
        self._write(_ZEROS[: 2 * (position - self._next)], concealed=True)

    def _pad_frame(self) -> None:
        if self._fill:
            self._write(_ZEROS[2 * self._fill :], concealed=True)

    def _emit(self, pcm: bytes) -> None:
        frame = MicFrame(
            self._next - FRAME_SAMPLES,
            pcm,
            self._frame_concealed,
            self._discontinuity,
            self._arrival_ms,
            self._level_dbov,
        )
        self._out.append(frame)
        self._fill = 0
        self._frame_concealed = self._discontinuity = False

    def _take(self) -> list[MicFrame]:
        frames = self._out
        self._out = []
        return frames


def _grid_up(sample: int) -> int:
    return -(-sample // FRAME_SAMPLES) * FRAME_SAMPLES
