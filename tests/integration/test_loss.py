"""Lost packets cost no time: three callers who differ in their network alone, on stages that take always the same."""

from pathlib import Path

import numpy as np
import pytest

from natter_bench.loss_comparison import CLEAN, RANDOM, SINGLE, LossOptions, compare_losses, loss_text
from natter_bench.speech import Speech
from natter_testing.emulated_system import emulated_system

TURNS = 10
WITHIN_MS = 30.0
RATE_HZ = 16_000
PACE = ("--sentences", "1", "--first-token-ms", "50", "--words-per-s", "200")


@pytest.fixture
def half_a_second() -> Speech:
    """Emulated speech detection goes by loudness."""
    time_s = np.arange(RATE_HZ * 6 // 10) / RATE_HZ
    tone = sum(np.sin(2 * np.pi * 150 * harmonic * time_s) / harmonic for harmonic in (1, 2, 3, 4))
    return Speech("hum", (6_000 * tone).astype(np.int16), RATE_HZ)


@pytest.mark.alone
@pytest.mark.timeout(240)
async def test_voice_to_voice_is_the_same_with_losses(tmp_path: Path, half_a_second: Speech) -> None:
    async with emulated_system(tmp_path, options=PACE) as system:
        report = await compare_losses(LossOptions(system.url, turns=TURNS, questions=[half_a_second]))
    words = loss_text(report)
    assert [run.missed_turns for run in report.runs.values()] == [0, 0, 0], words
    for network in (RANDOM, SINGLE):
        assert report.runs[network].dropped_outgoing > 0
        assert report.runs[network].dropped_incoming > 0
        difference_ms = report.p50_difference_ms(network)
        assert difference_ms is not None
        assert difference_ms <= WITHIN_MS, words
    assert (report.runs[CLEAN].dropped_outgoing, report.runs[CLEAN].dropped_incoming) == (0, 0)
