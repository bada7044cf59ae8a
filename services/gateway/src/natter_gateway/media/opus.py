"""Opus by libopus: payloads to 16 kHz PCM for the services, 24 kHz voice to payloads for the caller.

The codec resamples by itself: a decoder opened at 16 kHz mono gives exactly what travels over NATS, whatever rate and
channels the browser used. State lives in buffers that Python owns, so nothing has to be freed by hand.

Sources: RFC 6716 (Opus; section 3.1 for the TOC byte, 4.2.3 for the LBRR flags), RFC 7587 (Opus in RTP).
"""

import ctypes

from natter_gateway.media import libopus
from natter_gateway.media.libopus import OpusError, check, library

MAX_PACKET_MS = 120
MAX_PAYLOAD_BYTES = 1275
"""The most that one Opus frame can take (RFC 6716 section 3.2.1)."""
CODEC_DELAY_MS = 6.5
"""So much later than its place in the packet says sound comes out of a decoder (the encoder's look-ahead)."""
PLC_STEP_MS = 2.5
"""Concealment is made in multiples of this."""

_RTP_HZ = 48_000
# Frame length in samples at 48 kHz, by the TOC byte's configuration number (RFC 6716, table 2).
_FRAME_SAMPLES = (480, 960, 1920, 2880) * 3 + (480, 960) * 2 + (120, 240, 480, 960) * 4
_FIRST_CELT_CONFIG = 16


def packet_samples_48k(payload: bytes) -> int:
    """Length of an Opus packet in samples at 48 kHz, read from its header alone.

    Raises `OpusError` for an empty or impossible packet (no frames, or over 120 ms).
    """
    if not payload:
        raise OpusError("empty packet")
    toc = payload[0]
    code = toc & 3
    if code == 3:
        if len(payload) < 2:
            raise OpusError("packet without its frame count")
        count = payload[1] & 0x3F
    else:
        count = 1 if code == 0 else 2
    samples = _FRAME_SAMPLES[toc >> 3] * count
    if not 0 < samples <= MAX_PACKET_MS * _RTP_HZ // 1000:
        raise OpusError(f"packet of {samples} samples")
    return samples


def has_fec(payload: bytes) -> bool:
    """Whether a packet carries a low-rate copy of the audio before it (in-band FEC, "LBRR").

    Reads the flag of packets of one frame, which is all that WebRTC senders make; others count as having none. This
    is for the counters only: the decoder finds out by itself.
    """
    if len(payload) < 2 or payload[0] & 3 or payload[0] >> 3 >= _FIRST_CELT_CONFIG:
        return False
    silk_frames = max(1, _FRAME_SAMPLES[payload[0] >> 3] // 960)
    flags = payload[1]
    if flags >> (7 - silk_frames) & 1:
        return True
    stereo = bool(payload[0] & 4)
    return stereo and bool(flags >> (6 - 2 * silk_frames) & 1)


class OpusDecoder:
    """Opus payloads of one stream, in order, to s16le PCM.

    `rate_hz` is 8, 12, 16, 24 or 48 kHz; `channels` 1 or 2 (stereo packets are mixed down for 1). Sample counts are per
    channel. Every method returns a new `bytes`; the work buffer is allocated once. Raises `OpusError`.
    """

    def __init__(self, rate_hz: int = 16_000, channels: int = 1) -> None:
        self.rate_hz = rate_hz
        self.channels = channels
        self._max_samples = rate_hz * MAX_PACKET_MS // 1000
        self._sample_bytes = 2 * channels
        size = library.opus_decoder_get_size(channels)
        if size <= 0:
            raise OpusError(f"no decoder with {channels} channels")
        self._state = ctypes.create_string_buffer(size)
        self._state_address = ctypes.addressof(self._state)
        self._out = ctypes.create_string_buffer(self._max_samples * self._sample_bytes)
        self._out_address = ctypes.addressof(self._out)
        self._view = memoryview(self._out).cast("B")
        self._step = round(rate_hz * PLC_STEP_MS / 1000)
        check(library.opus_decoder_init(self._state_address, rate_hz, channels))

    def decode(self, payload: bytes, out_samples: int | None = None) -> bytes:
        """Decode one packet. `out_samples` bounds what it may hold (default: 120 ms); longer ones are an error."""
        limit = self._max_samples if out_samples is None else min(out_samples, self._max_samples)
        got = library.opus_decode(self._state_address, payload, len(payload), self._out_address, limit, 0)
        if got < 0:
            check(got)
        return bytes(self._view[: got * self._sample_bytes])

    def decode_fec(self, payload: bytes, samples: int) -> bytes:
        """Make the `samples` that were lost right before `payload`, from the copy in it and concealment.

        `payload` is not consumed: decode it next. Where it carries no copy, all is concealment; where more is missing
        than one packet holds, the earlier part is. `samples` must be a multiple of 2.5 ms, at most 120 ms.
        """
        self._check_length(samples)
        got = library.opus_decode(self._state_address, payload, len(payload), self._out_address, samples, 1)
        return bytes(self._view[: check(got) * self._sample_bytes])

    def conceal(self, samples: int) -> bytes:
        """Invent `samples` for a loss that nothing tells about. A multiple of 2.5 ms, at most 120 ms."""
        self._check_length(samples)
        got = library.opus_decode(self._state_address, None, 0, self._out_address, samples, 0)
        return bytes(self._view[: check(got) * self._sample_bytes])

    def reset(self) -> None:
        """Forget the stream: for another sender."""
        check(library.opus_decoder_ctl(self._state_address, libopus.RESET_STATE))

    def _check_length(self, samples: int) -> None:
        if not 0 < samples <= self._max_samples or samples % self._step:
            raise OpusError(f"cannot conceal {samples} samples: not a multiple of 2.5 ms up to {MAX_PACKET_MS} ms")


_LEAST_FEC_BITRATE_BPS = 40_000
_LEAST_FEC_LOSS_PERCENT = 2
"""libopus makes no copies below these: each packet that is lost would be heard."""


class OpusEncoder:
    """s16le mono PCM to Opus payloads, tuned for voice (VOIP mode, variable rate).

    `complexity` 1 costs about 60 µs for 20 ms at 24 kHz, 5 about 130 µs. Speech comes out the same: 5.20 and 5.14 dB of
    log spectral distance; with 0 it is 6.06. In-band FEC is on; libopus spends bits on it only while the packet loss it
    was told of is above zero, and, up to 5 %, only from 40 kbit/s on.
    """

    def __init__(
        self,
        rate_hz: int = 24_000,
        bitrate_bps: int = 32_000,
        *,
        complexity: int = 1,
        fec: bool = True,
        packet_loss_percent: int = 0,
    ) -> None:
        self.rate_hz = rate_hz
        self.packet_loss_percent = -1
        self._bitrate_bps = bitrate_bps
        self._state = ctypes.create_string_buffer(library.opus_encoder_get_size(1))
        self._state_address = ctypes.addressof(self._state)
        self._out = ctypes.create_string_buffer(MAX_PAYLOAD_BYTES)
        self._out_address = ctypes.addressof(self._out)
        self._out_view = memoryview(self._out).cast("B")
        self._in = ctypes.create_string_buffer(rate_hz * MAX_PACKET_MS // 1000 * 2)
        self._in_address = ctypes.addressof(self._in)
        self._in_view = memoryview(self._in).cast("B")
        check(library.opus_encoder_init(self._state_address, rate_hz, 1, libopus.APPLICATION_VOIP))
        self._control(libopus.SET_COMPLEXITY, complexity)
        self._control(libopus.SET_SIGNAL, libopus.SIGNAL_VOICE)
        self._control(libopus.SET_INBAND_FEC, int(fec))
        self.set_packet_loss(packet_loss_percent)

    def encode(self, pcm: bytes | memoryview) -> bytes:
        """Encode one packet of 2.5, 5, 10, 20, 40 or 60 ms; raises `OpusError` for any other length."""
        samples = len(pcm) >> 1
        if isinstance(pcm, bytes):
            size = libopus.opus_encode_bytes(self._state_address, pcm, samples, self._out_address, MAX_PAYLOAD_BYTES)
        else:
            if pcm.nbytes > len(self._in_view):
                raise OpusError(f"{pcm.nbytes} bytes are more than {MAX_PACKET_MS} ms")
            samples = pcm.nbytes >> 1
            self._in_view[: pcm.nbytes] = pcm.cast("B")
            size = libopus.opus_encode_buffer(
                self._state_address, self._in_address, samples, self._out_address, MAX_PAYLOAD_BYTES
            )
        if size < 0:
            check(size)
        return bytes(self._out_view[:size])

    def set_packet_loss(self, percent: int) -> None:
        """Tell how much the receiver loses (0–100, clamped): decides how much goes into FEC."""
        percent = min(max(percent, 0), 100)
        if percent != self.packet_loss_percent:
            least = _LEAST_FEC_BITRATE_BPS if percent else 0
            self._control(libopus.SET_BITRATE, max(self._bitrate_bps, least))
            self._control(libopus.SET_PACKET_LOSS_PERC, max(percent, _LEAST_FEC_LOSS_PERCENT) if percent else 0)
            self.packet_loss_percent = percent

    def reset(self) -> None:
        """Start anew, keeping the settings: for the first packet after others that this encoder did not make."""
        check(library.opus_encoder_ctl(self._state_address, libopus.RESET_STATE))

    def _control(self, request: int, value: int) -> None:
        check(library.opus_encoder_ctl(self._state_address, request, ctypes.c_int32(value)))


def silent_payload(rate_hz: int = 24_000) -> bytes:
    """One 20 ms packet of silence that may be repeated for ever: the steady state of an encoder fed with zeros."""
    encoder = OpusEncoder(rate_hz, fec=False)
    zeros = bytes(rate_hz // 50 * 2)
    payload = b""
    for _ in range(10):
        payload = encoder.encode(zeros)
    return payload
