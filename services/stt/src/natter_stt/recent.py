"""The last seconds of one session's microphone, by sample number: what a vendor has to be sent, or again. Pure."""

from __future__ import annotations

from collections import deque
from typing import Final

from natter_stt.provider import BYTES_PER_SAMPLE, SAMPLE_RATE_HZ

# Finals come at least every 10 s of speech, and what was said since the last one may have to be sent again.
KEPT_SAMPLES: Final = 15 * SAMPLE_RATE_HZ


class RecentAudio:
    """Pieces of audio in, audio from any sample on out. Over `KEPT_SAMPLES` the oldest is dropped."""

    def __init__(self, from_sample: int) -> None:
        self._pieces: deque[tuple[int, bytes]] = deque()
        self._next = from_sample
        self._oldest = from_sample

    @property
    def next_sample(self) -> int:
        """The sample that is expected next."""
        return self._next

    @property
    def oldest_sample(self) -> int:
        """Everything before it is gone."""
        return self._oldest

    def append(self, first_sample: int, pcm: bytes) -> None:
        """Take samples (s16le). Those known already are ignored; those missing before them are missing for good."""
        known = max(0, self._next - first_sample)
        pcm = pcm[known * BYTES_PER_SAMPLE :]
        count = len(pcm) // BYTES_PER_SAMPLE
        if not count:
            return
        first = first_sample + known
        self._pieces.append((first, pcm))
        self._next = first + count
        while self._pieces[0][0] < self._next - KEPT_SAMPLES and len(self._pieces) > 1:
            self._pieces.popleft()
        self._oldest = self._pieces[0][0]

    def read(self, from_sample: int, most_samples: int) -> tuple[int, bytes] | None:
        """The first samples at or behind `from_sample`, in one piece without gaps: where they begin, and s16le."""
        if from_sample >= self._next:
            return None
        wanted: list[bytes] = []
        first = end = -1
        for begin, piece in self._from(from_sample):
            skip = max(0, from_sample - begin) if first < 0 else 0
            if first < 0:
                first = end = begin + skip
            elif begin != end:
                break
            pcm = piece[skip * BYTES_PER_SAMPLE :]
            room = (most_samples - (end - first)) * BYTES_PER_SAMPLE
            wanted.append(pcm[:room])
            end += len(wanted[-1]) // BYTES_PER_SAMPLE
            if len(pcm) >= room:
                break
        return first, b"".join(wanted)

    def _from(self, sample: int) -> list[tuple[int, bytes]]:
        """The pieces that end behind `sample`. It is mostly the newest that is asked for."""
        found: list[tuple[int, bytes]] = []
        for begin, pcm in reversed(self._pieces):
            if begin + len(pcm) // BYTES_PER_SAMPLE <= sample:
                break
            found.append((begin, pcm))
        found.reverse()
        return found
