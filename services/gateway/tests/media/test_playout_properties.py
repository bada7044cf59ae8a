"""The playout queue under any sequence of calls."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from natter_gateway.media.playout import Playout, PoppedFrame, SegmentFinished, State


def sound(samples: int, seed: int) -> bytes:
    """Loud noise: no two places of it are alike."""
    return np.random.default_rng(seed).integers(-12000, 12000, samples, dtype="<i2").tobytes()


@settings(max_examples=80, deadline=None)
@given(
    lengths=st.lists(st.integers(0, 3000), min_size=1, max_size=5),
    chunks=st.lists(st.integers(1, 900), min_size=1, max_size=40),
    pops=st.lists(st.integers(0, 4), min_size=1, max_size=40),
)
def test_what_is_popped_is_what_was_pushed(lengths, chunks, pops) -> None:
    playout = Playout()
    voices = [sound(length, seed) for seed, length in enumerate(lengths)]
    frames: list[PoppedFrame] = []
    step = 0
    for number, pcm in enumerate(voices):
        at = 0
        while at < len(pcm) // 2:
            size = chunks[step % len(chunks)]
            playout.push((0, 0, number), pcm[2 * at : 2 * (at + size)], at)
            at += size
            frames += [playout.pop() for _ in range(pops[step % len(pops)])]
            step += 1
        playout.end((0, 0, number), len(pcm) // 2)
    while playout.state is not State.IDLE:
        frames.append(playout.pop())
    got = b"".join((f.pcm or b"")[: 2 * sum(span.samples for span in f.spans)] for f in frames)
    assert got == b"".join(voices)
    spans = [span for frame in frames for span in frame.spans]
    expected: dict[tuple[int, ...], int] = {}
    for span in spans:
        assert span.first_sample == expected.get(span.key, 0)
        expected[span.key] = span.first_sample + span.samples
    assert [span.key for span in spans] == sorted(span.key for span in spans)
    assert playout.played == {(0, 0, n): length for n, length in enumerate(lengths)}
    finished = [event.key for frame in frames for event in frame.events if isinstance(event, SegmentFinished)]
    assert finished == [(0, 0, n) for n in range(len(lengths))]


class PlayoutMachine(RuleBasedStateMachine):
    """Any sequence of calls: every frame holds what its spans say (unless faded), and a hold loses nothing."""

    @initialize()
    def start(self) -> None:
        self.playout = Playout()
        self.voices: dict[tuple[int, ...], bytes] = {}
        self.pushed: dict[tuple[int, ...], int] = {}
        self.ended: set[tuple[int, ...]] = set()
        self.key = 0
        self.next: tuple[tuple[int, ...], int] | None = None
        self.soften = 0

    @rule(samples=st.integers(1, 1500))
    def push(self, samples: int) -> None:
        key = (0, 0, self.key)
        voice = self.voices.setdefault(key, sound(6000, self.key))
        at = self.pushed.get(key, 0)
        pcm = voice[2 * at : 2 * (at + samples)]
        self.playout.push(key, pcm, at)
        self.pushed[key] = at + len(pcm) // 2

    @precondition(lambda self: (0, 0, self.key) in self.pushed)
    @rule()
    def end(self) -> None:
        key = (0, 0, self.key)
        self.playout.end(key, self.pushed[key])
        self.ended.add(key)
        self.key += 1

    @rule(count=st.integers(1, 6))
    def pop(self, count: int) -> None:
        for _ in range(count):
            faded = self.playout.state is State.FADING
            frame = self.playout.pop()
            at = 0
            for span in frame.spans:
                if self.next is not None:
                    key, sample = self.next
                    if span.key == key:
                        assert span.first_sample == sample
                    else:
                        assert span.key > key
                        assert key in self.ended
                        assert sample == self.pushed[key]
                        assert span.first_sample == 0
                self.next = (span.key, span.first_sample + span.samples)
                got = (frame.pcm or b"")[2 * at : 2 * (at + span.samples)]
                wanted = self.voices[span.key][2 * span.first_sample : 2 * (span.first_sample + span.samples)]
                skip = 240 if self.soften and at == 0 else 0
                if not faded and not self.soften:
                    assert got[skip:] == wanted[skip:]
                at += span.samples
            if frame.pcm is not None and not faded:
                self.soften = 0

    @rule()
    def hold(self) -> None:
        self.playout.hold()

    @rule(back=st.none() | st.integers(0, 2000))
    def resume(self, back: int | None) -> None:
        held_at = self.playout.held_at
        if self.playout.state not in (State.HELD, State.FADING) or held_at is None:
            self.playout.resume()
            return
        key, sample = held_at
        target = sample if back is None else max(0, sample - back)
        self.playout.resume(key, target)
        self.next = (key, target) if target or self.next is not None else None
        self.soften = 1

    @rule()
    def cut(self) -> None:
        self.playout.cut()
        self.key += 1
        self.next = None
        self.soften = 0

    @invariant()
    def queued_is_what_is_left(self) -> None:
        assert self.playout.queued_samples >= 0


PlayoutMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestPlayoutMachine = PlayoutMachine.TestCase
