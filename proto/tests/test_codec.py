"""Encode and decode: bounds hold, and what is no frame is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from natter_proto import (
    MAX_FRAME_BYTES,
    BadFrameError,
    Header,
    Message,
    Mic,
    Turn,
    Voice,
    decode,
    decode_mic,
    decode_voice,
    encode,
    pcm_audio,
)


def mic(data: bytes = bytes(640), rate_hz: int = 16_000) -> Mic:
    return Mic(header=Header(session="abc", term=1), audio=pcm_audio(data, rate_hz, 320))


def test_a_frame_survives_the_wire() -> None:
    frame = mic()
    assert decode_mic(encode(frame)) == frame
    assert frame.audio.sample_count == 320


def test_silence_may_be_sent_without_data() -> None:
    frame = mic()
    frame.audio.data = b""
    assert decode_mic(encode(frame)).audio.sample_count == 320


@pytest.mark.parametrize("rate_hz", [8_000, 24_000, 0])
def test_a_mic_frame_of_another_rate_is_refused(rate_hz: int) -> None:
    with pytest.raises(BadFrameError, match="16000 Hz"):
        decode_mic(encode(mic(rate_hz=rate_hz)))


def test_a_count_that_does_not_fit_the_data_is_refused() -> None:
    frame = mic()
    frame.audio.sample_count = 100
    with pytest.raises(BadFrameError, match="640 bytes of audio for 100 samples"):
        decode_mic(encode(frame))


def test_voice_of_over_200_ms_is_refused() -> None:
    frame = Voice(header=Header(session="abc"), audio=pcm_audio(bytes(4_801 * 2), 24_000, 0))
    with pytest.raises(BadFrameError):
        decode_voice(encode(frame))


def test_frames_over_the_bound_are_neither_sent_nor_taken() -> None:
    frame = Turn(context=[Message(content="x" * MAX_FRAME_BYTES)])
    with pytest.raises(BadFrameError, match="are the most"):
        encode(frame)
    with pytest.raises(BadFrameError, match="are the most"):
        decode(Turn, frame.SerializeToString())


@given(st.binary(max_size=400))
def test_any_bytes_are_a_frame_or_a_bad_frame(payload: bytes) -> None:
    for kind in (Mic, Voice, Turn):
        try:
            decode(kind, payload)
        except BadFrameError:
            continue
