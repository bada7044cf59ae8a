"""Count lost and doubled words exactly."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from natter_bench.words import normalise
from natter_emulators.marks.listen import HeardWord


@dataclass(frozen=True, slots=True)
class WordCount:
    """What was expected and not heard, and what was heard beyond that, each in its order."""

    lost: tuple[str, ...]
    doubled: tuple[str, ...]

    @property
    def exact(self) -> bool:
        """Whether each word was heard once and nothing else."""
        return not self.lost and not self.doubled


def count_words(expected: str, heard: Iterable[HeardWord | str]) -> WordCount:
    """Align what was heard to what was expected, keeping the longest common sequence.

    A word in the wrong place counts as lost there and doubled here; so does one that was heard as another.
    """
    wanted = normalise(expected)
    got = [word if isinstance(word, str) else word.text for word in heard]
    # lengths[i][j]: of the longest common sequence of wanted[i:] and got[j:].
    lengths = [[0] * (len(got) + 1) for _ in range(len(wanted) + 1)]
    for i in range(len(wanted) - 1, -1, -1):
        for j in range(len(got) - 1, -1, -1):
            lengths[i][j] = (
                lengths[i + 1][j + 1] + 1 if wanted[i] == got[j] else max(lengths[i + 1][j], lengths[i][j + 1])
            )
    lost: list[str] = []
    doubled: list[str] = []
    i = j = 0
    while i < len(wanted) and j < len(got):
        if wanted[i] == got[j]:
            i, j = i + 1, j + 1
        elif lengths[i + 1][j] >= lengths[i][j + 1]:
            lost.append(wanted[i])
            i += 1
        else:
            doubled.append(got[j])
            j += 1
    return WordCount((*lost, *wanted[i:]), (*doubled, *got[j:]))
