"""Makes the audio of a case: its parts in its speaker's voice, joined with its pauses, and the noise behind."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from natter_bench.opus import FRAME_MS, Pcm
from natter_bench.recording import VOICE_HZ
from natter_bench.speech import QUESTIONS, SpeechError, read_wav, resample, say, trimmed, wav_bytes
from natter_bench.talk.cases import Case, Speaker
from natter_bench.talk.noise import Floats, active_dbfs, as_floats, floor, gain, sound

ESPEAK: Final = "espeak-ng"
ESPEAK_HINT: Final = f"{ESPEAK} is not installed (Debian, Ubuntu: apt install {ESPEAK}; macOS: brew install {ESPEAK})"

_FLOOR_S: Final = 8
_FRAME_SAMPLES: Final = VOICE_HZ * FRAME_MS // 1000


@dataclass(frozen=True, slots=True)
class CaseAudio:
    """24 kHz mono in units of full scale."""

    speech: Floats
    """What is said, with the case's gain."""
    levels: Pcm
    """The same without the gain: a quiet caller's speech ends where a loud one's does."""
    floor: Floats | None
    """Noise to be played around and around."""


def espeak_is_there() -> bool:
    """Whether espeak-ng can be started."""
    return shutil.which(ESPEAK) is not None


def speak(text: str, speaker: Speaker) -> Pcm:
    """One part at 24 kHz, without the silence at its ends. Raises SpeechError when there is no such voice."""
    if speaker.espeak is None:
        made = say(text, voice="hibari").at(VOICE_HZ)
        return made.pcm
    key = hashlib.sha256(f"{speaker}:{text}".encode()).hexdigest()[:24]
    path = _folder() / f"{key}.wav"
    if not path.exists():
        path.write_bytes(_espeak(text, speaker))
    pcm, rate_hz = read_wav(path)
    return trimmed(resample(pcm, rate_hz, VOICE_HZ), VOICE_HZ)


def case_audio(case: Case) -> CaseAudio:
    """All that the caller sends of its own in a case. Raises SpeechError."""
    clean = _clean(case)
    louder = gain(case.gain_db)
    behind: Floats | None = None
    if case.noise is not None:
        voices = [say(text, voice="hibari").at(VOICE_HZ).pcm for text in QUESTIONS] if case.noise else []
        spoken_dbfs = active_dbfs(clean, VOICE_HZ) + case.gain_db
        seed = zlib.crc32(case.name.encode())
        behind = floor(case.noise, spoken_dbfs, _FLOOR_S * VOICE_HZ, VOICE_HZ, seed, voices)
    return CaseAudio(as_floats(clean) * louder, clean, behind)


def _clean(case: Case) -> Pcm:
    if case.sound is not None:
        return np.rint(sound(case.sound, VOICE_HZ) * 32767).astype(np.int16)
    pieces: list[Pcm] = []
    for number, part in enumerate(case.parts):
        if number:
            pieces.append(np.zeros(VOICE_HZ * case.pauses_ms[number - 1] // 1000, dtype=np.int16))
        pieces.append(speak(part, case.speaker))
    joined = np.concatenate(pieces) if pieces else np.zeros(0, dtype=np.int16)
    return np.concatenate([joined, np.zeros(-len(joined) % _FRAME_SAMPLES, dtype=np.int16)])


def _espeak(text: str, speaker: Speaker) -> bytes:
    program = shutil.which(ESPEAK)
    if program is None:
        raise SpeechError(ESPEAK_HINT)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "speech.wav"
        command = [program, "-v", speaker.espeak or "en", "-s", str(speaker.words_per_minute), "-w", str(path)]
        done = subprocess.run([*command, "--", text], capture_output=True, check=False)  # noqa: S603
        if done.returncode != 0 or not path.exists():
            raise SpeechError(f"{ESPEAK} failed: {done.stderr.decode(errors='replace').strip()}")
        pcm, rate_hz = read_wav(path)
    # Opus takes no 22.05 kHz.
    return wav_bytes(resample(pcm, rate_hz, VOICE_HZ), VOICE_HZ)


def _folder() -> Path:
    folder = Path(tempfile.gettempdir()) / f"natter-bench-speech-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder
