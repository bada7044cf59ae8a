"""The caller's microphone on its way to the stages: the ring to replay from, the clock, the frames on NATS."""

from collections import deque
from typing import Final

from natter_gateway.media.receive import MicFrame
from natter_proto import MIC_FRAME_SAMPLES, MIC_RATE_HZ, Audio, Codec, Header, Mic

RING_S: Final = 30
_RING_FRAMES: Final = RING_S * MIC_RATE_HZ // MIC_FRAME_SAMPLES
_CLOCK_WINDOW_MS: Final = 30_000.0
_SAMPLES_PER_MS: Final = MIC_RATE_HZ / 1000
_FRAMES_OF_A_MESSAGE: Final = 250
"""A message keeps the memory of all that its fields ever held: used for a whole session, it grew by 32 kB/s."""


class MicClock:
    """Maps mic samples to the gateway's clock by the least delay seen in the last 30 s: jitter only ever adds."""

    def __init__(self) -> None:
        # Candidates for the least offset: each is smaller than all after it.
        self._offsets: deque[tuple[float, float]] = deque()

    def observe(self, end_sample: int, arrival_ms: float) -> None:
        """The packet that ends at `end_sample` arrived."""
        offset = arrival_ms - end_sample / _SAMPLES_PER_MS
        while self._offsets and self._offsets[-1][1] >= offset:
            self._offsets.pop()
        self._offsets.append((arrival_ms, offset))
        while self._offsets[0][0] < arrival_ms - _CLOCK_WINDOW_MS:
            self._offsets.popleft()

    def restart(self) -> None:
        """A new connection: its delays say nothing of the old one's."""
        self._offsets.clear()

    def time_ms(self, sample: int) -> float | None:
        """When `sample` arrived, or would have on the best path; None before the first packet."""
        return sample / _SAMPLES_PER_MS + self._offsets[0][1] if self._offsets else None


class MicSender:
    """Makes the mic frames of one session: numbered, kept for 30 s, encoded without building a message anew."""

    def __init__(self, session: str, term: int, producer: str, first_sample: int = 0) -> None:
        self._ring: deque[tuple[int, bytes, bool, bool]] = deque(maxlen=_RING_FRAMES)
        audio = Audio(codec=Codec.CODEC_PCM_S16LE, rate_hz=MIC_RATE_HZ, channels=1, sample_count=MIC_FRAME_SAMPLES)
        self._blank = Mic(header=Header(session=session, term=term, producer=producer), audio=audio)
        self._number = 0
        self._new_message()
        self.next_sample = first_sample
        self.clock: Final = MicClock()

    def payload(self, frame: MicFrame, *, muted: bool) -> bytes:
        """Number, keep and encode one 20 ms frame. Of a muted microphone only the time goes on."""
        pcm = b"" if muted else frame.pcm
        if not frame.concealed:
            self.clock.observe(frame.first_sample + MIC_FRAME_SAMPLES, frame.arrival_ms)
        self._ring.append((frame.first_sample, pcm, frame.concealed, muted))
        self.next_sample = frame.first_sample + MIC_FRAME_SAMPLES
        self._number += 1
        if self._number % _FRAMES_OF_A_MESSAGE == 0:
            self._new_message()
        self._header.number = self._number
        audio = self._audio
        audio.first_sample = frame.first_sample
        audio.concealed = frame.concealed
        audio.discontinuity = frame.discontinuity
        audio.muted = muted
        audio.data = pcm
        return self._frame.SerializeToString()

    def _new_message(self) -> None:
        self._frame = Mic()
        self._frame.CopyFrom(self._blank)
        # Kept, for each look-up of a submessage costs as much as setting a field.
        self._header = self._frame.header
        self._audio = self._frame.audio

    def replay(self, from_sample: int, to_sample: int) -> list[Audio]:
        """What the ring still has of samples [from, to)."""
        return [
            Audio(
                codec=Codec.CODEC_PCM_S16LE,
                rate_hz=MIC_RATE_HZ,
                channels=1,
                first_sample=first,
                sample_count=MIC_FRAME_SAMPLES,
                concealed=concealed,
                muted=muted,
                data=pcm,
            )
            for first, pcm, concealed, muted in self._ring
            if first + MIC_FRAME_SAMPLES > from_sample and first < to_sample
        ]
