from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from natter_vad.batcher import MAX_PENDING_PIECES, Batcher
from natter_vad.detector import Detection, Detector, DetectorEvent
from natter_vad.silero import WINDOW_SAMPLES, Floats, SileroModel, SileroState
from natter_vad.windows import Quiet, Window, Windower

Speech = Callable[[str], npt.NDArray[np.int16]]


class CountingModel:
    """Gives each window its first value back and notes the sizes of batches; the state counts windows."""

    def __init__(self) -> None:
        self.batches: list[int] = []

    def run(self, windows: Sequence[Floats], states: Sequence[SileroState]) -> list[float]:
        self.batches.append(len(windows))
        for state in states:
            state.context = state.context + 1
        return [float(window[0]) for window in windows]


class Recorder:
    """A judge that keeps everything, and tells when it is idle."""

    def __init__(self) -> None:
        self.windows: list[tuple[int, float]] = []
        self.quiets: list[int] = []
        self.idles = asyncio.Event()

    def window(self, first_sample: int, probability: float) -> None:
        self.windows.append((first_sample, probability))

    def quiet(self, to_sample: int) -> None:
        self.quiets.append(to_sample)

    def idle(self) -> None:
        self.idles.set()

    async def wait_idle(self) -> None:
        async with asyncio.timeout(5):
            await self.idles.wait()


def window(index: int, value: float, *, fresh: bool = False) -> Window:
    return Window(index * WINDOW_SAMPLES, np.full(WINDOW_SAMPLES, value, np.float32), fresh)


async def test_windows_of_several_sessions_go_in_one_batch() -> None:
    model = CountingModel()
    batcher = Batcher(model)
    judges = [Recorder() for _ in range(5)]
    lanes = [batcher.open(judge) for judge in judges]
    for number, lane in enumerate(lanes):
        lane.push([window(0, number / 8)])
    for judge in judges:
        await judge.wait_idle()
    assert model.batches == [5]
    assert [judge.windows for judge in judges] == [[(0, number / 8)] for number in range(5)]


async def test_many_lanes_are_gathered_and_batches_bounded() -> None:
    model = CountingModel()
    batcher = Batcher(model, max_batch=8)
    judges = [Recorder() for _ in range(20)]
    lanes = [batcher.open(judge) for judge in judges]
    for lane in lanes:
        lane.push([window(0, 0.5)])
        await asyncio.sleep(0)
    for judge in judges:
        await judge.wait_idle()
    assert model.batches == [8, 8, 4]


async def test_a_session_keeps_its_order_and_one_window_a_batch() -> None:
    model = CountingModel()
    batcher = Batcher(model)
    judge, other = Recorder(), Recorder()
    lane, second = batcher.open(judge), batcher.open(other)
    lane.push([window(0, 0.0), window(1, 0.25), Quiet(1_024, 5_120), window(10, 0.5)])
    second.push([window(0, 0.75)])
    await judge.wait_idle()
    assert model.batches == [2, 1, 1]
    assert judge.windows == [(0, 0.0), (512, 0.25), (5_120, 0.5)]
    assert judge.quiets == [5_120]
    assert other.windows == [(0, 0.75)]


async def test_a_fresh_window_starts_from_rest() -> None:
    batcher = Batcher(CountingModel())
    judge = Recorder()
    lane = batcher.open(judge)
    lane.push([window(0, 0.0), window(1, 0.0), window(9, 0.0, fresh=True)])
    await judge.wait_idle()
    assert lane.state.context[0] == 1


async def test_quiet_alone_is_passed_on() -> None:
    batcher = Batcher(CountingModel())
    judge = Recorder()
    batcher.open(judge).push([Quiet(0, 512)])
    await judge.wait_idle()
    assert judge.quiets == [512]
    assert judge.windows == []


async def test_too_much_at_once_drops_the_oldest_and_counts_it() -> None:
    batcher = Batcher(CountingModel())
    judge = Recorder()
    lane = batcher.open(judge)
    assert lane.push([window(index, 0.0) for index in range(MAX_PENDING_PIECES + 7)]) == 7
    await judge.wait_idle()
    assert len(judge.windows) == MAX_PENDING_PIECES
    assert judge.windows[0][0] == 7 * WINDOW_SAMPLES


async def test_a_closed_lane_hears_nothing_more() -> None:
    batcher = Batcher(CountingModel())
    judge, other = Recorder(), Recorder()
    lane, second = batcher.open(judge), batcher.open(other)
    lane.push([window(0, 0.0)])
    second.push([window(0, 0.0)])
    batcher.close(lane)
    lane.push([window(1, 0.0)])
    await other.wait_idle()
    assert judge.windows == []
    assert batcher.lanes == 1


class Listener:
    """A session as the service joins it: windows to the detector, events to a list."""

    def __init__(self, batcher: Batcher) -> None:
        self.windower = Windower()
        self.detector = Detector()
        self.lane = batcher.open(self)
        self.found: list[Detection] = []
        self.idles = asyncio.Event()

    def frame(self, first_sample: int, pcm: bytes) -> None:
        self.idles.clear()
        self.lane.push(self.windower.push(first_sample, pcm))

    def window(self, first_sample: int, probability: float) -> None:
        self.found += self.detector.window(first_sample, probability)

    def quiet(self, to_sample: int) -> None:
        self.found += self.detector.quiet(to_sample)

    def idle(self) -> None:
        self.found += self.detector.received(self.windower.next_sample or 0)
        self.idles.set()


async def test_real_speech_is_found_where_it_is(silero: SileroModel, speech: Speech) -> None:
    said = speech("The weather in Lisbon is warm and sunny this afternoon.")
    loud = np.flatnonzero(np.abs(said.astype(int)) > 600)
    quiet = np.zeros(16_000, np.int16)
    audio = np.concatenate([quiet, said, quiet])
    begin, end = 16_000 + int(loud[0]), 16_000 + int(loud[-1])
    batcher = Batcher(silero)
    listener = Listener(batcher)
    for at in range(0, len(audio) - 319, 320):
        listener.frame(at, audio[at : at + 320].tobytes())
        async with asyncio.timeout(5):
            await listener.idles.wait()
    events = [detection.event for detection in listener.found]
    assert events == [DetectorEvent.ONSET, DetectorEvent.SPEECH, DetectorEvent.DIP, DetectorEvent.PAUSE]
    onset, _, _, pause = listener.found
    assert abs(onset.sample - begin) < 2_400  # 150 ms
    assert abs(pause.sample - end) < 2_400
    assert 3_200 <= pause.decided_at_sample - pause.sample <= 3_520
