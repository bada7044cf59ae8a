"""A segment whose voice comes without word times: given out when it is whole, words spread by their letters. Pure.

Somebody who has to say the rest of a segment that was cut off must know where its words end. Without word times nobody
does; so nothing of such a segment is given out before all of it is there.
"""

from __future__ import annotations

import numpy as np

from natter_tts.provider import VoiceChunk
from natter_tts.shape import Chunker, pause_samples, to_s16, trim
from natter_tts.words import letters, place_words, spread_words


def has_letters(spoken: str) -> bool:
    """There is something to say."""
    return bool(letters(spoken))


def silent_segment(text: str) -> VoiceChunk:
    """The end of a segment that has nothing to say."""
    return VoiceChunk(0, b"", place_words(text, ()), end=True)


def whole_segment(text: str, spoken: str, pcm: bytes) -> list[VoiceChunk]:
    """A segment's audio, 24 kHz s16le, in shape and in chunks; all word times are estimated."""
    pause = pause_samples(spoken, text)
    raw = np.frombuffer(pcm[: len(pcm) & ~1], "<i2").astype(np.float32) / np.float32(32768.0)
    audio, _ = trim(raw, pause)
    end = max(0, len(audio) - pause)
    words = place_words(text, spread_words(spoken, 0, end), estimated=True)
    chunker = Chunker()
    chunks: list[VoiceChunk] = []
    listed = 0
    for first, chunk in [*chunker.feed(to_s16(audio)), *chunker.finish()]:
        stop = listed
        while stop < len(words) and words[stop].from_sample < first + len(chunk) // 2:
            stop += 1
        chunks.append(VoiceChunk(first, chunk, words[listed:stop]))
        listed = stop
    total = chunker.sent_samples
    return [*chunks, VoiceChunk(total, b"", words[listed:], end=True, total_samples=total)]
