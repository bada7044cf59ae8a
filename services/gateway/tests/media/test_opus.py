"""The binding to libopus: round trips, FEC, concealment and bad input."""

import contextlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from natter_gateway.media import libopus
from natter_gateway.media.libopus import OpusError
from natter_gateway.media.opus import OpusDecoder, OpusEncoder, has_fec, packet_samples_48k, silent_payload


def samples_of(pcm: bytes) -> np.ndarray:
    return np.frombuffer(pcm, "<i2").astype(np.float64)


def best_correlation(reference: np.ndarray, decoded: np.ndarray, max_shift: int) -> float:
    """Highest normalised correlation over the codec's unknown delay."""
    size = min(len(reference), len(decoded)) - max_shift
    return max(
        float(np.corrcoef(reference[:size], decoded[shift : shift + size])[0, 1]) for shift in range(0, max_shift, 2)
    )


def test_library_is_found() -> None:
    assert libopus.version().startswith("libopus 1.")


def test_voice_survives_a_round_trip_to_16_khz(voice) -> None:
    pcm = voice(1.0, 24_000)
    encoder, decoder = OpusEncoder(complexity=5), OpusDecoder()
    decoded = b"".join(decoder.decode(encoder.encode(pcm[i : i + 960])) for i in range(0, len(pcm), 960))
    assert len(decoded) == 16_000 * 2
    at_16_khz = np.interp(np.arange(16_000) / 16_000, np.arange(24_000) / 24_000, samples_of(pcm))
    assert best_correlation(at_16_khz, samples_of(decoded), 400) > 0.9


def test_memoryview_encodes_as_bytes_do(voice) -> None:
    pcm = voice(0.2, 24_000)
    one, other = OpusEncoder(), OpusEncoder()
    for i in range(0, len(pcm), 960):
        assert one.encode(pcm[i : i + 960]) == other.encode(memoryview(pcm)[i : i + 960])


def test_fec_restores_better_than_concealment(voice) -> None:
    """Over many losses the copy in the next packet is nearer to the original than an invention."""
    pcm = voice(3.0, 24_000)
    encoder = OpusEncoder(packet_loss_percent=20)
    packets = [encoder.encode(pcm[i : i + 960]) for i in range(0, len(pcm), 960)]
    truth = OpusDecoder()
    with_fec, without = OpusDecoder(), OpusDecoder()
    error_fec = error_plc = 0.0
    lost = 0
    for number, packet in enumerate(packets):
        expected = samples_of(truth.decode(packet))
        if number % 10 == 5 and has_fec(packets[number + 1]):
            lost += 1
            error_fec += float(np.sum((samples_of(with_fec.decode_fec(packets[number + 1], 320)) - expected) ** 2))
            error_plc += float(np.sum((samples_of(without.conceal(320)) - expected) ** 2))
        else:
            with_fec.decode(packet)
            without.decode(packet)
    assert lost >= 5
    assert error_fec < error_plc


@pytest.mark.parametrize("told", [1, 2, 5, 10])
def test_fec_is_made_only_when_loss_is_told(told: int, voice) -> None:
    pcm = voice(1.0, 24_000)

    def copies(percent: int) -> int:
        encoder = OpusEncoder()
        encoder.set_packet_loss(percent)
        return sum(has_fec(encoder.encode(pcm[i : i + 960])) for i in range(0, len(pcm), 960))

    assert copies(0) == 0
    assert copies(told) > 20


@pytest.mark.parametrize("percent", [-5, 0, 100, 250])
def test_packet_loss_is_clamped(percent: int) -> None:
    encoder = OpusEncoder()
    encoder.set_packet_loss(percent)
    assert encoder.packet_loss_percent == min(max(percent, 0), 100)


@pytest.mark.parametrize("duration_ms", [10, 20, 40, 60])
def test_packet_length_is_read_from_its_header(duration_ms: int, voice) -> None:
    payload = OpusEncoder().encode(voice(duration_ms / 1000, 24_000))
    assert packet_samples_48k(payload) == 48 * duration_ms
    assert len(OpusDecoder().decode(payload)) == 2 * 16 * duration_ms


@pytest.mark.parametrize("payload", [b"", b"\x03", bytes([0x1B, 0x3F]), bytes([0x1B, 0])])
def test_impossible_headers_are_errors(payload: bytes) -> None:
    with pytest.raises(OpusError):
        packet_samples_48k(payload)


@pytest.mark.parametrize("samples", [0, 1, 33, 1921, 4000])
def test_concealment_length_must_be_possible(samples: int) -> None:
    with pytest.raises(OpusError):
        OpusDecoder().conceal(samples)
    with pytest.raises(OpusError):
        OpusDecoder().decode_fec(b"\x08\x00\x00", samples)


def test_out_samples_bounds_a_packet(voice) -> None:
    payload = OpusEncoder().encode(voice(0.06, 24_000))
    with pytest.raises(OpusError, match="buffer"):
        OpusDecoder().decode(payload, out_samples=320)


def test_wrong_encode_lengths_are_errors() -> None:
    with pytest.raises(OpusError):
        OpusEncoder().encode(bytes(100))
    with pytest.raises(OpusError):
        OpusEncoder().encode(memoryview(bytes(100_000)))


def test_silent_payload_may_be_repeated() -> None:
    payload = silent_payload()
    decoder = OpusDecoder(24_000)
    for _ in range(200):
        assert np.abs(samples_of(decoder.decode(payload))).max() <= 8


@given(st.binary(max_size=300))
def test_any_bytes_decode_or_raise(payload: bytes) -> None:
    decoder = OpusDecoder()
    has_fec(payload)
    with contextlib.suppress(OpusError):
        assert len(decoder.decode(payload)) == 2 * (packet_samples_48k(payload) // 3)
