"""Gathers the windows of all sessions and judges them in batches.

Inference runs inline on the event loop, in batches of at most 32: one takes at most about 1.6 ms, so the loop never
stands for longer. A thread was tried: the hop costs 30 µs (p99 90 µs) against 100 µs for a window alone, and saves
nothing that a second worker would not save better.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

from natter_vad.silero import Floats, SileroState
from natter_vad.windows import Piece, Quiet, Window

MAX_BATCH = 32
# With few sessions a window is judged in the loop step it came in. With more, waiting this long fills batches (50 µs a
# window instead of 100), and is still nothing to anybody who waits for a pause of 200 ms.
GATHER_MS = 4
GATHER_ABOVE_LANES = 8
# 10.2 s: a takeover replays 9 s at once. What overflows is the oldest, and is counted.
MAX_PENDING_PIECES = 320


class Model(Protocol):
    """What the batcher needs of a model (see `SileroModel.run`)."""

    def run(self, windows: Sequence[Floats], states: Sequence[SileroState]) -> list[float]: ...


class Judge(Protocol):
    """Takes what was found out about a lane, in order. Called on the event loop; must be quick and must not raise."""

    def window(self, first_sample: int, probability: float) -> None:
        """A window of 512 samples was judged."""
        ...

    def quiet(self, to_sample: int) -> None:
        """There is no speech up to `to_sample`, as nothing was heard."""
        ...

    def idle(self) -> None:
        """Everything that was pushed so far has been judged."""
        ...


class Lane:
    """One session's way through the batcher. Made by `Batcher.open`."""

    def __init__(self, judge: Judge, wake: Callable[[Lane], None]) -> None:
        self._judge = judge
        self._wake = wake
        self._pending: deque[Piece] = deque()
        self._dropped = False
        self.state = SileroState()
        self.closed = False

    def push(self, pieces: Sequence[Piece]) -> int:
        """Put what came next in line. Over 320 pieces behind, the oldest are dropped, and count as quiet.

        Returns:
            How many were dropped.
        """
        if self.closed:
            return 0
        self._pending.extend(pieces)
        dropped = max(0, len(self._pending) - MAX_PENDING_PIECES)
        for _ in range(dropped):
            self._pending.popleft()
            self._dropped = True
        if self._pending:
            self._wake(self)
        else:
            self._judge.idle()
        return dropped

    def next_window(self) -> Window | None:
        """The window to be judged next; stretches of quiet before it are passed on. None when nothing is left."""
        while self._pending:
            piece = self._pending.popleft()
            if isinstance(piece, Window):
                if piece.fresh or self._dropped:
                    self.state.reset()
                self._dropped = False
                return piece
            self._pass_on(piece)
        return None

    def _pass_on(self, quiet: Quiet) -> None:
        self._judge.quiet(quiet.to_sample)

    def judged(self, window: Window, probability: float) -> bool:
        """Hand the model's word on. True when more is waiting."""
        if self.closed:
            return False
        self._judge.window(window.first_sample, probability)
        if not self._pending:
            self._judge.idle()
        return bool(self._pending)

    def drained(self) -> None:
        """Nothing was left to be judged."""
        self._judge.idle()

    def close(self) -> None:
        """Take the session out. Nothing is reported after it."""
        self.closed = True
        self._pending.clear()


class Batcher:
    """Serves all lanes of a worker, each in order, one window of a lane in a batch (the model's state forbids more)."""

    def __init__(
        self,
        model: Model,
        *,
        max_batch: int = MAX_BATCH,
        gather_ms: float = GATHER_MS,
        on_batch: Callable[[int, float], None] | None = None,
    ) -> None:
        """Make a batcher for the running event loop.

        Args:
            model: judges the windows.
            max_batch: the most windows in one run: bounds how long the loop stands.
            gather_ms: how long to gather when more than 8 lanes are open.
            on_batch: told of each batch: windows in it, and how long it took in seconds.
        """
        self._model = model
        self._max_batch = max_batch
        self._gather_s = gather_ms / 1_000
        self._loop = asyncio.get_running_loop()
        self._ready: deque[Lane] = deque()
        self._queued: set[Lane] = set()
        self._timer: asyncio.Handle | None = None
        self._lanes: set[Lane] = set()
        self._on_batch = on_batch

    @property
    def lanes(self) -> int:
        """How many sessions are open."""
        return len(self._lanes)

    def open(self, judge: Judge) -> Lane:
        """Take a session in. What is found out goes to `judge`."""
        lane = Lane(judge, self._enqueue)
        self._lanes.add(lane)
        return lane

    def close(self, lane: Lane) -> None:
        """Take a session out."""
        lane.close()
        self._lanes.discard(lane)

    def _enqueue(self, lane: Lane) -> None:
        if lane not in self._queued:
            self._queued.add(lane)
            self._ready.append(lane)
        if self._timer is None:
            if len(self._lanes) > GATHER_ABOVE_LANES:
                self._timer = self._loop.call_later(self._gather_s, self._flush)
            else:
                self._timer = self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._timer = None
        lanes: list[Lane] = []
        windows: list[Window] = []
        while self._ready and len(windows) < self._max_batch:
            lane = self._ready.popleft()
            self._queued.discard(lane)
            if lane.closed:
                continue
            window = lane.next_window()
            if window is None:
                lane.drained()
            else:
                lanes.append(lane)
                windows.append(window)
        if windows:
            began = time.perf_counter()
            probabilities = self._model.run([window.samples for window in windows], [lane.state for lane in lanes])
            if self._on_batch is not None:
                self._on_batch(len(windows), time.perf_counter() - began)
            for lane, window, probability in zip(lanes, windows, probabilities, strict=True):
                if lane.judged(window, probability) and lane not in self._queued:
                    self._queued.add(lane)
                    self._ready.append(lane)
        if self._ready and self._timer is None:
            # Behind: go on at once, but let the loop see to everything else in between.
            self._timer = self._loop.call_soon(self._flush)
