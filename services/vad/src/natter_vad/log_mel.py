"""What Smart Turn hears: the log-mel picture of 8 s that Whisper's feature extractor makes. Pure.

The numbers are those of Whisper's extractor with `chunk_length=8` and `do_normalize=True` (published with the model):
the waveform brought to mean 0 and variance 1, frames of 400 samples (periodic Hann) each 160, reflected at both ends,
power in 80 Slaney mel bands, logarithm cut 8 decades below the loudest, scaled to about -1..1.
"""

from __future__ import annotations

from typing import Final, cast

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

RATE_HZ: Final = 16_000
INPUT_SAMPLES: Final = 8 * RATE_HZ
FRAMES: Final = 800
BANDS: Final = 80

_FRAME_SAMPLES: Final = 400
_HOP_SAMPLES: Final = INPUT_SAMPLES // FRAMES
_PAD_SAMPLES: Final = _FRAME_SAMPLES // 2
_BINS: Final = _FRAME_SAMPLES // 2 + 1
_LEAST_VARIANCE: Final = 1e-7
_LEAST_POWER: Final = 1e-10
_DECADES: Final = 8.0

# Slaney's scale: 15 mels to the kilohertz, above it 27 to a factor of 6.4.
_KNEE_HZ: Final = 1_000.0
_KNEE_MEL: Final = 15.0
_MELS_PER_NEPER: Final = 27.0 / float(np.log(6.4))


def _mel(hz: float) -> float:
    if hz < _KNEE_HZ:
        return hz * _KNEE_MEL / _KNEE_HZ
    return _KNEE_MEL + _MELS_PER_NEPER * float(np.log(hz / _KNEE_HZ))


def _hz(mel: float) -> float:
    if mel < _KNEE_MEL:
        return mel * _KNEE_HZ / _KNEE_MEL
    return _KNEE_HZ * float(np.exp((mel - _KNEE_MEL) / _MELS_PER_NEPER))


def _bank() -> Floats:
    """Triangles of equal area over the bins of a frame's spectrum: (201, 80)."""
    corners = [_hz(mel) for mel in np.linspace(_mel(0.0), _mel(RATE_HZ / 2), BANDS + 2)]
    bins_hz = np.linspace(0, RATE_HZ / 2, _BINS)
    bank = np.zeros((_BINS, BANDS), np.float64)
    for band, (low, middle, high) in enumerate(zip(corners, corners[1:], corners[2:], strict=False)):
        height = 2 / (high - low)
        bank[:, band] = np.interp(bins_hz, (low, middle, high), (0, height, 0))
    return bank.astype(np.float32)


class LogMel:
    """Makes the picture. Holds its tables and nothing else, so one serves every session."""

    def __init__(self) -> None:
        turns = np.arange(_FRAME_SAMPLES) / _FRAME_SAMPLES
        self._window: Floats = (0.5 - 0.5 * np.cos(2 * np.pi * turns)).astype(np.float32)
        self._bank = _bank()

    def picture(self, audio: Floats) -> Floats:
        """The picture of 8 s of audio, shape (80, 800).

        Args:
            audio: 128,000 samples at 16 kHz of any scale; what is shorter has its zeros in front.

        Raises:
            ValueError: another number of samples.
        """
        if audio.shape != (INPUT_SAMPLES,):
            raise ValueError(f"audio of the shape {audio.shape}, not ({INPUT_SAMPLES},)")
        scaled = (audio - audio.mean()) / np.sqrt(audio.var() + _LEAST_VARIANCE)
        padded = np.pad(scaled, _PAD_SAMPLES, mode="reflect")
        # The frame that would begin at the last sample is left out, as Whisper does.
        frames = np.lib.stride_tricks.sliding_window_view(padded, _FRAME_SAMPLES)[:INPUT_SAMPLES:_HOP_SAMPLES]
        # Zeros in front, where less than 8 s were said, look the same in every frame: one stands for all.
        skip = max(0, (int(np.argmax(audio != 0)) - _PAD_SAMPLES) // _HOP_SAMPLES)
        spectrum = np.fft.rfft(frames[skip:] * self._window)
        power = spectrum.real**2 + spectrum.imag**2
        bands = cast("Floats", np.log10(np.maximum(power @ self._bank, _LEAST_POWER)))
        np.maximum(bands, bands.max() - _DECADES, out=bands)
        picture = np.empty((BANDS, FRAMES), np.float32)
        picture[:, skip:] = bands.T
        picture[:, :skip] = bands[:1].T
        picture += 4
        picture /= 4
        return picture
