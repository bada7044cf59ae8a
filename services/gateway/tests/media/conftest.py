"""Signals and packets for the media tests."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pytest

from natter_gateway.media.opus import OpusEncoder


class Rtp(NamedTuple):
    """An RTP packet as the receiver takes it."""

    sequence_number: int
    timestamp: int
    payload: bytes
    arrival_ms: float


def make_voice(seconds: float, rate_hz: int, seed: int = 1) -> bytes:
    """Something voice-like: a gliding tone with overtones, in syllables, over faint noise (s16le mono)."""
    t = np.arange(round(seconds * rate_hz)) / rate_hz
    phase = 2 * np.pi * np.cumsum(140 + 40 * np.sin(2 * np.pi * 0.7 * t)) / rate_hz
    tone = sum(np.sin(k * phase) / k for k in range(1, 9))
    envelope = 0.15 + 0.85 * np.clip(np.sin(2 * np.pi * 3 * t), 0, 1)
    noise = np.random.default_rng(seed).normal(0, 60, t.size)
    return np.clip(5000 * tone * envelope + noise, -32768, 32767).astype("<i2").tobytes()


@pytest.fixture(scope="session")
def voice() -> Callable[..., bytes]:
    return make_voice


@pytest.fixture(scope="session")
def payloads() -> list[bytes]:
    """3 s of 20 ms packets; all but the first carry FEC for the one before where there is voice."""
    encoder = OpusEncoder(packet_loss_percent=20)
    pcm = make_voice(3, 24_000)
    return [encoder.encode(pcm[i : i + 960]) for i in range(0, len(pcm), 960)]


@pytest.fixture(scope="session")
def stream(payloads: list[bytes]) -> Callable[..., list[Rtp]]:
    """Packets of a steady sender: `stream(count, first_sequence=…, first_timestamp=…, start_ms=…)`."""

    def make(
        count: int | None = None, *, first_sequence: int = 100, first_timestamp: int = 5000, start_ms: float = 1000.0
    ) -> list[Rtp]:
        return [
            Rtp((first_sequence + i) & 0xFFFF, (first_timestamp + 960 * i) & 0xFFFFFFFF, payload, start_ms + 20.0 * i)
            for i, payload in enumerate(payloads[:count])
        ]

    return make
