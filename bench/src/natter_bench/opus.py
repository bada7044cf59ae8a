"""Opus in mono through libopus itself, by ctypes.

aiortc's codec path always works in 48 kHz stereo and in a thread; a caller that has to run ten times beside the
system cannot afford that. PyAV's wheel brings a libopus, so nothing has to be installed for it.

Sources: RFC 6716 (Opus), RFC 7587 (its RTP payload: the clock is 48 kHz whatever the audio's rate).
"""

from __future__ import annotations

import ctypes
import ctypes.util
from functools import cache
from pathlib import Path
from typing import Any, Final

import av
import numpy as np
import numpy.typing as npt

Pcm = npt.NDArray[np.int16]

FRAME_MS: Final = 20
RTP_CLOCK_HZ: Final = 48_000
RTP_TICKS_PER_FRAME: Final = RTP_CLOCK_HZ * FRAME_MS // 1000

_LONGEST_PACKET_MS = 120
_LARGEST_PACKET_BYTES = 1275
_APPLICATION_VOIP = 2048
_SET_BITRATE = 4002
_SET_COMPLEXITY = 4010
_SET_INBAND_FEC = 4012
_SET_PACKET_LOSS_PERC = 4014


class OpusError(Exception):
    """libopus is missing, or refused what it was given."""


@cache
def _library() -> Any:
    candidates = [str(path) for path in sorted((Path(av.__file__).parent.parent / "av.libs").glob("libopus*"))]
    system = ctypes.util.find_library("opus")
    if system is not None:
        candidates.append(system)
    for name in candidates:
        try:
            library = ctypes.CDLL(name)
        except OSError:
            continue
        library.opus_encoder_create.restype = ctypes.c_void_p
        library.opus_encoder_destroy.argtypes = [ctypes.c_void_p]
        library.opus_encode.argtypes = [
            ctypes.c_void_p,
            ctypes.c_void_p,
            ctypes.c_int,
            ctypes.c_void_p,
            ctypes.c_int32,
        ]
        library.opus_decoder_create.restype = ctypes.c_void_p
        library.opus_decoder_destroy.argtypes = [ctypes.c_void_p]
        library.opus_decode.argtypes = [
            ctypes.c_void_p,
            ctypes.c_char_p,
            ctypes.c_int32,
            ctypes.c_void_p,
            ctypes.c_int,
            ctypes.c_int,
        ]
        return library
    raise OpusError("no libopus found: neither in PyAV's wheel nor on the system")


class Encoder:
    """20 ms mono frames to Opus packets.

    `expected_loss_percent` above 0 makes the encoder put a copy of each speech frame into the next packet (in-band
    FEC), as a browser does once its receiver reports losses.
    """

    def __init__(
        self, rate_hz: int, *, bitrate_bps: int = 32_000, complexity: int = 5, expected_loss_percent: int = 0
    ) -> None:
        self._library = _library()
        self.frame_samples = rate_hz * FRAME_MS // 1000
        error = ctypes.c_int(0)
        self._state: int | None = self._library.opus_encoder_create(rate_hz, 1, _APPLICATION_VOIP, ctypes.byref(error))
        if error.value != 0 or not self._state:
            raise OpusError(f"no Opus encoder for {rate_hz} Hz (error {error.value})")
        for request, value in (
            (_SET_BITRATE, bitrate_bps),
            (_SET_COMPLEXITY, complexity),
            (_SET_INBAND_FEC, int(expected_loss_percent > 0)),
            (_SET_PACKET_LOSS_PERC, expected_loss_percent),
        ):
            self._library.opus_encoder_ctl(ctypes.c_void_p(self._state), request, ctypes.c_int(value))
        self._buffer = ctypes.create_string_buffer(_LARGEST_PACKET_BYTES)

    def encode(self, pcm: Pcm) -> bytes:
        """One frame of exactly `frame_samples` samples to one packet."""
        if len(pcm) != self.frame_samples:
            raise OpusError(f"a frame has {self.frame_samples} samples, not {len(pcm)}")
        frame = np.ascontiguousarray(pcm, dtype=np.int16)
        size: int = self._library.opus_encode(
            self._state, frame.ctypes.data, self.frame_samples, self._buffer, _LARGEST_PACKET_BYTES
        )
        if size < 0:
            raise OpusError(f"Opus encoder: error {size}")
        return self._buffer.raw[:size]

    def __del__(self) -> None:
        if getattr(self, "_state", None):
            self._library.opus_encoder_destroy(self._state)
            self._state = None


class Decoder:
    """Opus packets to mono PCM at `rate_hz` (8, 12, 16, 24 or 48 kHz)."""

    def __init__(self, rate_hz: int) -> None:
        self._library = _library()
        self.rate_hz = rate_hz
        self.frame_samples = rate_hz * FRAME_MS // 1000
        error = ctypes.c_int(0)
        self._state: int | None = self._library.opus_decoder_create(rate_hz, 1, ctypes.byref(error))
        if error.value != 0 or not self._state:
            raise OpusError(f"no Opus decoder for {rate_hz} Hz (error {error.value})")
        self._buffer = np.zeros(rate_hz * _LONGEST_PACKET_MS // 1000, dtype=np.int16)

    def decode(self, packet: bytes) -> Pcm:
        """The packet's audio, as long as the packet says it is."""
        return self._decode(packet, len(self._buffer), fec=False)

    def recover(self, next_packet: bytes) -> Pcm:
        """The 20 ms frame before `next_packet`: from the copy in it if it has one, else concealed."""
        return self._decode(next_packet, self.frame_samples, fec=True)

    def conceal(self) -> Pcm:
        """20 ms in place of a packet that is lost for good."""
        return self._decode(None, self.frame_samples, fec=False)

    def _decode(self, packet: bytes | None, room_samples: int, *, fec: bool) -> Pcm:
        size = 0 if packet is None else len(packet)
        samples: int = self._library.opus_decode(
            self._state, packet, size, self._buffer.ctypes.data, room_samples, int(fec)
        )
        if samples < 0:
            raise OpusError(f"Opus decoder: error {samples}")
        return self._buffer[:samples].copy()

    def __del__(self) -> None:
        if getattr(self, "_state", None):
            self._library.opus_decoder_destroy(self._state)
            self._state = None


def carries_copy(packet: bytes) -> bool:
    """Whether the packet carries a copy of the frame before it (False when this libopus, before 1.5, cannot tell)."""
    library = _library()
    if not hasattr(library, "opus_packet_has_lbrr"):
        return False
    return library.opus_packet_has_lbrr(packet, ctypes.c_int32(len(packet))) == 1
