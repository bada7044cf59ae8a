"""Bytes to frames and back, with the bounds that hold for everybody.

A payload that is no frame, or a frame that breaks its bounds, raises `BadFrameError`: the receiver counts and drops it.
"""

from typing import Final, TypeVar

from google.protobuf.message import DecodeError, EncodeError, Message

from natter.v1.audio_pb2 import Audio, Codec, Mic, Voice

MIC_RATE_HZ: Final = 16_000
MIC_FRAME_SAMPLES: Final = 320
VOICE_RATE_HZ: Final = 24_000
VOICE_FRAME_SAMPLES: Final = 480
VOICE_FRAME_MAX_SAMPLES: Final = 4_800
MAX_FRAME_BYTES: Final = 512 * 1024
"""A turn frame carries the whole context; nothing is larger, but for a replay of the microphone."""
MAX_REPLAY_BYTES: Final = 1_000_000

_BYTES_PER_SAMPLE = 2

FrameT = TypeVar("FrameT", bound=Message)


class BadFrameError(ValueError):
    """A payload from NATS that nobody may act on."""


def encode(frame: Message, limit_bytes: int = MAX_FRAME_BYTES) -> bytes:
    """Serialise `frame`; raise `BadFrameError` when it would be over `limit_bytes`."""
    try:
        payload = frame.SerializeToString()
    except EncodeError as error:
        raise BadFrameError(f"{type(frame).__name__} can't be encoded: {error}") from error
    if len(payload) > limit_bytes:
        raise BadFrameError(f"{type(frame).__name__} has {len(payload)} bytes, {limit_bytes} are the most")
    return payload


def decode(kind: type[FrameT], payload: bytes, limit_bytes: int = MAX_FRAME_BYTES) -> FrameT:
    """Parse `payload` as `kind`. Fields and enum values that this version does not know are kept and tolerated."""
    if len(payload) > limit_bytes:
        raise BadFrameError(f"{kind.__name__} of {len(payload)} bytes, {limit_bytes} are the most")
    frame = kind()
    try:
        frame.ParseFromString(payload)
    except DecodeError as error:
        raise BadFrameError(f"not a {kind.__name__}: {error}") from error
    return frame


def decode_mic(payload: bytes) -> Mic:
    """Parse a mic frame and hold it to 16 kHz mono s16le."""
    frame = decode(Mic, payload)
    _check_pcm(frame.audio, MIC_RATE_HZ, MIC_RATE_HZ)
    return frame


def decode_voice(payload: bytes) -> Voice:
    """Parse a voice frame and hold it to 24 kHz mono s16le of 200 ms at most."""
    frame = decode(Voice, payload)
    _check_pcm(frame.audio, VOICE_RATE_HZ, VOICE_FRAME_MAX_SAMPLES)
    return frame


def pcm_audio(data: bytes, rate_hz: int, first_sample: int) -> Audio:
    """Wrap mono s16le `data`."""
    return Audio(
        codec=Codec.CODEC_PCM_S16LE,
        rate_hz=rate_hz,
        channels=1,
        first_sample=first_sample,
        sample_count=len(data) // _BYTES_PER_SAMPLE,
        data=data,
    )


def _check_pcm(audio: Audio, rate_hz: int, max_samples: int) -> None:
    if audio.codec != Codec.CODEC_PCM_S16LE or audio.rate_hz != rate_hz or audio.channels != 1:
        raise BadFrameError(f"audio is not {rate_hz} Hz mono s16le")
    if audio.sample_count > max_samples or len(audio.data) not in (0, audio.sample_count * _BYTES_PER_SAMPLE):
        raise BadFrameError(f"{len(audio.data)} bytes of audio for {audio.sample_count} samples")
