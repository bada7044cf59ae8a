"""Where a voice was last heard, by loudness. Pure: no clock, no I/O.

The model for speech goes on saying "speech" for some 60 ms (20–90) after a voice has ended, and for 90 to 200 ms in
noise. Loudness knows the end to 10 ms, but can't tell a voice from a noise; so the model says what speech is, and
loudness only where its end lies.

In a quiet room what is heard is what is near to the loudest of the last seconds. In a noisy one it is what stands out
from the room as it was before anybody spoke (see `room`).
"""

from __future__ import annotations

import math
from collections import deque
from typing import Final

import numpy as np

from natter_vad.room import BLOCK_SAMPLES, Levels, Room, levels_db

# A voice is heard down to this much under its loudest: the softest ends of words ("-f", "-th") lie 25 to 35 dB down.
_RANGE_DB: Final = 35.0
# Where the room is less than this under the voice, loudness says nothing: everything counts as heard.
_LEAST_RANGE_DB: Final = 20.0
_ABOVE_FLOOR_DB: Final = 6.0
# The same where the room is known well: so much of a voice has to stand out from it.
_LEAST_OVER_ROOM_DB: Final = 6.0
# How fast the loudest and the softest are forgotten, a block. A slammed door is forgotten within 2 s.
_PEAK_FALLS_DB: Final = 0.1
_FLOOR_RISES_DB: Final = 0.03
# The model is some windows behind the audio. Blocks that it never comes to are not learned from.
_WAITING_BLOCKS: Final = 64
_LEARNED_AT_ONCE_SAMPLES: Final = 9 * BLOCK_SAMPLES  # 100 ms and more at once cost little more than one block


class Loudness:
    """One session's loudness in blocks of 10 ms, against the loudest of the last seconds and the room."""

    def __init__(self) -> None:
        self._peak_db = -math.inf
        self._floor_db = math.inf
        self._audible_end = 0
        self._room = Room()
        self._waiting: deque[tuple[int, Levels]] = deque(maxlen=_WAITING_BLOCKS)

    @property
    def audible_end_sample(self) -> int:
        """The sample after the last block in which there was more to hear than the room."""
        return self._audible_end

    @property
    def in_noise(self) -> bool:
        """Whether a voice sinks into the room before it ends: its softest parts are not heard."""
        return self._room.known and self._room.bar_db > self._peak_db - _RANGE_DB

    def push(self, first_sample: int, pcm: bytes | memoryview) -> None:
        """Take the next samples: s16le mono at 16 kHz, an even number of bytes."""
        samples = np.frombuffer(pcm, "<i2").astype(np.float32)
        rest = len(samples) % BLOCK_SAMPLES
        if rest:
            # Short of a block: it is gone through once more, so that it is as loud as a whole one.
            samples = np.concatenate([samples, np.resize(samples[-rest:], BLOCK_SAMPLES - rest)])
        levels = levels_db(samples.reshape(-1, BLOCK_SAMPLES))
        for index, level_db in enumerate(levels[:, 0].tolist()):
            end = first_sample + min((index + 1) * BLOCK_SAMPLES, len(pcm) // 2)
            if level_db < 0:  # a gate, or a hole: nobody's room
                self._peak_db -= _PEAK_FALLS_DB
                continue
            self._waiting.append((end, levels[index]))
            if self._is_audible(level_db, levels[index]):
                self._audible_end = max(self._audible_end, end)

    def nobody_spoke(self, from_sample: int, to_sample: int) -> None:
        """The model heard no speech in [from, to), nor shortly after: so this is what the room sounds like."""
        if not self._waiting or self._waiting[0][0] > to_sample - _LEARNED_AT_ONCE_SAMPLES:
            return
        heard: list[Levels] = []
        while self._waiting and self._waiting[0][0] <= to_sample:
            end, levels = self._waiting.popleft()
            if end - BLOCK_SAMPLES >= from_sample:
                heard.append(levels)
        if heard:
            self._room.learn(np.stack(heard))

    def _is_audible(self, level_db: float, levels: Levels) -> bool:
        self._peak_db = max(level_db, self._peak_db - _PEAK_FALLS_DB)
        self._floor_db = min(level_db, self._floor_db + _FLOOR_RISES_DB)
        if self.in_noise:
            if self._room.bar_db > self._peak_db - _LEAST_OVER_ROOM_DB:
                return True
            return level_db > self._peak_db - _RANGE_DB and self._room.stands_out(levels)
        least_db = max(self._peak_db - _RANGE_DB, self._floor_db + _ABOVE_FLOOR_DB)
        return least_db > self._peak_db - _LEAST_RANGE_DB or level_db > least_db
