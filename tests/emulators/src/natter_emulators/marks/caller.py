"""A caller's speech: a real voice, which speech detection takes for speech, with a mark per word above it."""

from __future__ import annotations

import re
from typing import Any, Final, cast

import numpy as np

from natter_bench.levels import level_dbfs
from natter_bench.speech import resample, say
from natter_emulators.marks.lexicon import place_of, spoken_words
from natter_emulators.marks.synthetic import GAP_MS, SHORTEST_MARK_MS, MarkedSpeech, MarkedWord
from natter_emulators.marks.tones import Floats, mark, to_pcm

RATE_HZ: Final = 16_000

_VOICE_BELOW_HZ: Final = 1900
_VOICE_RMS: Final = 0.1
_MOST_WORDS_PER_S: Final = 4
_FRAME: Final = RATE_HZ // 100
_QUIET_DBFS: Final = -38.0
_LONGEST_PAUSE_FRAMES: Final = 6
_SENTENCE: Final = re.compile(r"[^.!?]+[.!?]*")


def caller_speech(text: str) -> MarkedSpeech:
    """Speak `text` in the built-in voice, low-passed, without pauses, with the words' marks above it, at 16 kHz.

    A mark does not lie exactly where the voice says the word: the marks share the speech out among the words by their
    letters, from the first sound to the last. Voices are made once and cached (natter_bench.speech).

    Raises:
        ValueError: a word is not in the lexicon.
        natter_bench.speech.SpeechError: no voice is installed.
    """
    tokens = spoken_words(text)
    marks = [(index, word) for index, (_, spoken) in enumerate(tokens) for word in spoken]
    places = [place_of(word) for _, word in marks]
    if not marks:
        return MarkedSpeech(np.zeros(0, dtype=np.int16), RATE_HZ, ())
    gap = RATE_HZ * GAP_MS // 1000
    shortest = gap + RATE_HZ * SHORTEST_MARK_MS // 1000
    voice = _voice(text, len(marks) * RATE_HZ // _MOST_WORDS_PER_S)
    letters = np.array([1 + len(word) for _, word in marks])
    room = len(voice) + gap - shortest * len(marks)
    ends = np.rint(np.cumsum(shortest + room * letters / letters.sum())).astype(int).tolist()
    sound = voice
    spans: list[tuple[int, int]] = []
    for place, start, end in zip(places, [0, *ends[:-1]], ends, strict=True):
        sound[start : end - gap] += mark(place, end - gap - start, RATE_HZ)
        spans.append((start, end - gap))
    words: list[MarkedWord] = []
    for index, (token, _) in enumerate(tokens):
        mine = [span for (owner, _), span in zip(marks, spans, strict=True) if owner == index]
        words.append(MarkedWord(token, mine[0][0], mine[-1][1]))
    return MarkedSpeech(to_pcm(sound), RATE_HZ, tuple(words))


def _voice(text: str, at_least_samples: int) -> Floats:
    """The sentences in one breath, slowed down where they are too short for their marks."""
    voice = np.concatenate([_without_pauses(_sentence(part)) for part in _SENTENCE.findall(text) if spoken_words(part)])
    if len(voice) < at_least_samples:
        at = np.linspace(0, len(voice) - 1, at_least_samples)
        voice = np.interp(at, np.arange(len(voice)), voice).astype(np.float32)
    return voice * np.float32(_VOICE_RMS / max(1e-9, float(np.sqrt(np.mean(voice**2)))))


def _sentence(text: str) -> Floats:
    from scipy import signal  # slow to import: only who needs it pays

    speech = say(text.strip())
    samples = resample(speech.pcm, speech.rate_hz, RATE_HZ).astype(np.float32) / np.float32(32768)
    sections = cast("Any", signal).butter(8, _VOICE_BELOW_HZ, fs=RATE_HZ, output="sos")
    return np.asarray(cast("Any", signal).sosfilt(sections, samples), dtype=np.float32)


def _without_pauses(voice: Floats) -> Floats:
    """From the first sound to the last, pauses cut to 60 ms."""
    pcm = to_pcm(voice)
    frames = len(voice) // _FRAME
    loud = [level_dbfs(pcm[n * _FRAME : (n + 1) * _FRAME]) > _QUIET_DBFS for n in range(frames)]
    if True not in loud:
        return voice
    kept: list[Floats] = []
    quiet = 0
    for n in range(loud.index(True), frames - loud[::-1].index(True)):
        quiet = 0 if loud[n] else quiet + 1
        if quiet <= _LONGEST_PAUSE_FRAMES:
            kept.append(voice[n * _FRAME : (n + 1) * _FRAME])
    return np.concatenate(kept)
