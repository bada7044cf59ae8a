"""The joined microphone: every sample once, in order; gaps asked for, or marked."""

from hypothesis import given
from hypothesis import strategies as st

from natter_common.link import NoAnswerError
from natter_common.mic import REPLAY_MAX_SAMPLES, MicInlet, MicJoin, MicSpan
from natter_proto import Audio, Mic, pcm_audio


def audio(first_sample: int, frames: int = 1, *, discontinuity: bool = False) -> Audio:
    made = pcm_audio(b"\x01\x00" * 320 * frames, 16_000, first_sample)
    made.discontinuity = discontinuity
    return made


class Inlet:
    """An inlet with a ring to ask, and the spans that came out."""

    def __init__(self, ring: list[Audio] | None) -> None:
        self.spans: list[MicSpan] = []
        self.asked: list[tuple[int, int]] = []
        self._ring = ring
        self.inlet = MicInlet(0, self._ask, self._deliver)

    async def feed(self, *frames: Audio) -> list[int]:
        for frame in frames:
            await self.inlet.feed(Mic(audio=frame))
        return [span.first_sample for span in self.spans]

    async def _ask(self, from_sample: int, to_sample: int) -> list[Audio]:
        self.asked.append((from_sample, to_sample))
        if self._ring is None:
            raise NoAnswerError("ask.mic", nobody=True)
        return [piece for piece in self._ring if from_sample <= piece.first_sample < to_sample]

    async def _deliver(self, span: MicSpan) -> None:
        self.spans.append(span)


async def test_a_gap_is_asked_for_and_filled() -> None:
    inlet = Inlet([audio(n * 320) for n in range(10)])
    assert await inlet.feed(audio(0), audio(4 * 320)) == [0, 320, 640, 960, 1280]
    assert inlet.asked == [(320, 1280)]
    assert not any(span.discontinuity for span in inlet.spans)


async def test_a_gap_that_nobody_can_fill_is_marked() -> None:
    inlet = Inlet(None)
    assert await inlet.feed(audio(0), audio(1280)) == [0, 1280]
    assert [span.discontinuity for span in inlet.spans] == [False, True]


async def test_a_gap_that_the_gateway_has_marked_is_not_asked_for() -> None:
    inlet = Inlet([])
    await inlet.feed(audio(0), audio(16_000, discontinuity=True))
    assert inlet.asked == []
    assert inlet.spans[-1].discontinuity


async def test_doubles_and_overlaps_are_cut() -> None:
    inlet = Inlet([])
    await inlet.feed(audio(0, 2), audio(0), audio(320, 2))
    assert [(span.first_sample, span.end_sample) for span in inlet.spans] == [(0, 640), (640, 960)]


async def test_no_more_is_asked_for_than_the_ring_holds() -> None:
    inlet = Inlet([])
    await inlet.feed(audio(0), audio(REPLAY_MAX_SAMPLES * 2))
    assert inlet.asked == [(REPLAY_MAX_SAMPLES, REPLAY_MAX_SAMPLES * 2)]


def test_a_muted_frame_without_data_is_silence() -> None:
    muted = Audio(rate_hz=16_000, sample_count=320, muted=True)
    span = MicJoin(0).join(muted)
    assert span is not None
    assert (span.pcm, span.muted) == (bytes(640), True)


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(1, 4))))
def test_samples_come_once_and_in_order(frames: list[tuple[int, int]]) -> None:
    join = MicJoin(0)
    reached = 0
    for number, count in frames:
        span = join.join(audio(number * 320, count))
        if span is not None:
            assert span.first_sample >= reached
            assert span.discontinuity == (span.first_sample > reached)
            reached = span.end_sample
    assert join.next_sample == reached
