"""Which segments of a reply were heard whole, and which again: the sound against what tts made. Pure.

The gateway plays all of a segment that it took, whoever made it. A voice that takes over is asked for the words that
had not come, and what it makes is put behind what there is: the makings of a segment follow each other. Where words
are in two of them, either the earlier one never got into playout, or they were heard twice: the sound tells.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

import numpy as np

from natter_bench.alignment import Alignment, align
from natter_bench.levels import level_dbfs
from natter_bench.measure import AUDIBLE_DBFS, Sound, holes
from natter_bench.opus import Pcm
from natter_bench.recording import VOICE_HZ
from natter_bench.talk.observer import SegmentKey, VoicedSegment
from natter_bench.words import normalise
from natter_emulators.marks import WordCount, count_words

_PIECE_MS: Final = 20
_PIECE_SAMPLES: Final = VOICE_HZ * _PIECE_MS // 1000
_SHORTEST_TWICE_MS: Final = 400.0
"""A shorter piece of speech may be found in another by chance."""
_SHORTEST_LOST_MS: Final = 200.0
"""Missing inside a segment: a short word."""


@dataclass(frozen=True, slots=True)
class SegmentsFound:
    """How many segments were lost, wholly or in part, and how many were heard twice; the longest break inside one."""

    lost: int
    doubled: int
    hole_ms: float


def segments_found(makings: Sequence[VoicedSegment], texts: Mapping[SegmentKey, str], sound: Sound) -> SegmentsFound:
    """Look for a reply in what was heard of it. `makings` are in order, as `Observed.of_reply` gives them.

    A segment that stands still for over 2.5 s counts as lost: its rest is not looked for further away.
    """
    segments = [list(of) for _, of in groupby(makings, key=lambda one: one.segment)]
    said = [texts.get((*of[0].key, of[0].segment), "") for of in segments]
    pcms = [
        of[-1].pcm if _words(of, text).doubled else np.concatenate([one.pcm for one in of])
        for of, text in zip(segments, said, strict=True)
    ]
    found = holes(pcms, sound)
    elsewhere = _without(sound.pcm, found.alignments)
    missing = {one.segment for one in found.holes if one.kind == "missing" and one.length_ms >= _SHORTEST_LOST_MS}
    gone = missing.union(found.unheard, found.cut)
    lost = doubled = 0
    for index, (of, text, pcm) in enumerate(zip(segments, said, pcms, strict=True)):
        words = _words(of, text)
        if words.doubled:
            heard = [one for one in of[:-1] if _is_there(one.pcm, elsewhere)]
            words = count_words(text, _normalised([*heard, of[-1]]))
        lost += index in gone or bool(words.lost)
        doubled += bool(words.doubled) or (index not in found.unheard and _is_there(pcm, elsewhere))
    return SegmentsFound(lost, doubled, max((hole.length_ms for hole in found.holes), default=0.0))


def _words(makings: Sequence[VoicedSegment], text: str) -> WordCount:
    """What a takeover left out or has twice; nothing where nobody took over."""
    return count_words(text, _normalised(makings)) if text and len(makings) > 1 else WordCount((), ())


def _normalised(makings: Sequence[VoicedSegment]) -> list[str]:
    return normalise(" ".join(word.text for making in makings for word in making.words))


def _without(heard: Pcm, places: Sequence[Alignment | None]) -> Pcm:
    """What was heard, with silence where something was found."""
    rest = heard.copy()
    for place in places:
        if place is not None:
            rest[place.start_sample : place.end_sample] = 0
            for start, end in place.foreign:
                rest[start:end] = heard[start:end]
    return rest


def _is_there(made: Pcm, heard: Pcm) -> bool:
    """Whether most of what was made is heard."""
    loud_ms = sum(
        _PIECE_MS
        for at in range(0, len(made), _PIECE_SAMPLES)
        if level_dbfs(made[at : at + _PIECE_SAMPLES]) > AUDIBLE_DBFS
    )
    if loud_ms < _SHORTEST_TWICE_MS:
        return False
    place = align(made, heard, VOICE_HZ, audible_dbfs=AUDIBLE_DBFS)
    # Other speech of the voice is as loud, and has a likeness here and there: only what is alike counts.
    return place is not None and place.alike_ms > loud_ms / 2
