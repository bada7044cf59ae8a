"""One segment's voice in the playout queue: what has arrived, and how far it was handed out."""

RATE_HZ = 24_000
FRAME_SAMPLES = 480
FRAME_BYTES = 2 * FRAME_SAMPLES

SegmentKey = tuple[int, ...]
"""Orders segments within a session: (turn, attempt, segment)."""

_TRIM_SAMPLES = RATE_HZ  # played voice is let go in pieces of at least a second


class PlayoutGapError(ValueError):
    """Voice arrived for a sample while samples before it are missing."""


class Segment:
    """Samples `base` to `stored_end` of a segment, of which those before `next_sample` were handed out."""

    __slots__ = ("base", "finish_told", "key", "next_sample", "pcm", "started", "total")

    def __init__(self, key: SegmentKey) -> None:
        self.key = key
        self.pcm = bytearray()
        self.base = 0
        self.next_sample = 0
        self.total: int | None = None
        self.started = False
        self.finish_told = False

    @property
    def stored_end(self) -> int:
        """One past the last sample that has arrived."""
        return self.base + len(self.pcm) // 2

    @property
    def available(self) -> int:
        """Samples that have arrived and not been handed out."""
        return self.base + len(self.pcm) // 2 - self.next_sample

    @property
    def complete(self) -> bool:
        """Whether all of it has arrived."""
        return self.total == self.stored_end

    def missing_of(self, pcm: bytes | memoryview, first_sample: int) -> bytes | memoryview:
        """The part of `pcm` that is not here yet."""
        end = self.stored_end
        if first_sample > end:
            raise PlayoutGapError(f"segment {self.key}: samples {end} to {first_sample} are missing")
        if first_sample < 0 or len(pcm) % 2:
            raise ValueError(f"segment {self.key}: {len(pcm)} bytes from sample {first_sample}")
        new = pcm[2 * (end - first_sample) :]
        if self.total is not None and end + len(new) // 2 > self.total:
            raise ValueError(f"segment {self.key}: voice beyond its {self.total} samples")
        return new

    def set_total(self, total_samples: int) -> None:
        """Fix its length; once, and not below what has arrived."""
        if total_samples < self.stored_end or self.total not in (None, total_samples):
            raise ValueError(f"segment {self.key}: {total_samples} samples, but {self.total or self.stored_end} known")
        self.total = total_samples

    def take(self, samples: int) -> bytes:
        """Hand out the next samples (no more than `available`)."""
        start = 2 * (self.next_sample - self.base)
        self.next_sample += samples
        with memoryview(self.pcm) as view:
            return bytes(view[start : start + 2 * samples])

    def seek(self, sample: int) -> None:
        """Go back to `sample`, or to the earliest that is kept."""
        self.next_sample = max(self.base, min(sample, self.stored_end))

    def forget_before(self, rewind_samples: int) -> None:
        """Let go what was handed out more than `rewind_samples` ago."""
        surplus = self.next_sample - rewind_samples - self.base
        if surplus >= _TRIM_SAMPLES:
            del self.pcm[: 2 * surplus]
            self.base += surplus
