"""What was played and heard on one grid."""

from random import Random

import pytest

from natter_gateway.echo.envelope import LAGS, MicSlots, PlayoutEnvelope
from natter_gateway.echo.level import SILENCE_DBFS


def test_jitter_of_the_pacing_moves_nothing() -> None:
    playout = PlayoutEnvelope()
    for number, late_ms in enumerate((0, 12, 5, 31, 0, 19)):
        playout.played(-20.0 - number, 1_000 + number * 20 + late_ms)
    assert list(playout.before(55)[:7]) == [-25, -24, -23, -22, -21, -20, SILENCE_DBFS]


def test_gaps_are_silence() -> None:
    playout = PlayoutEnvelope()
    playout.played(-20.0, 1_000)
    playout.played(-30.0, 1_200)
    assert list(playout.before(60)[:12]) == [-30] + [SILENCE_DBFS] * 9 + [-20, SILENCE_DBFS]
    assert set(playout.before(400)) == {SILENCE_DBFS}
    assert len(playout.before(400)) == LAGS


def test_looking_ahead_moves_nothing() -> None:
    playout = PlayoutEnvelope()
    for number in range(4):
        playout.played(-20.0 - number, 1_000 + number * 20)
        assert playout.before(52 + number)[0] == SILENCE_DBFS
    assert list(playout.before(53)[:4]) == [-23, -22, -21, -20]


def test_it_says_what_a_table_of_all_slots_would() -> None:
    playout, table, chance = PlayoutEnvelope(), dict[int, float](), Random(7)
    slot = 50
    for number in range(2_000):
        slot += 1 if chance.random() < 0.95 else chance.randrange(3, 200)
        playout.played(-20.0 - number % 30, slot * 20)
        table[slot] = -20.0 - number % 30
        asked = slot + chance.randrange(-30, 5)
        assert list(playout.before(asked)) == [table.get(asked - back, SILENCE_DBFS) for back in range(LAGS)]


def test_late_packets_are_where_they_belong() -> None:
    slots = MicSlots()
    delays_ms = (3, 3, 60, 41, 3, 3)
    found = [slots.slot((number + 1) * 320, 1_000 + number * 20 + late) for number, late in enumerate(delays_ms)]
    assert found == list(range(found[0], found[0] + 6))


@pytest.mark.parametrize("parts_per_million", [-150, 150])
def test_a_clock_that_drifts_is_followed(parts_per_million: int) -> None:
    slots = MicSlots()
    for number in range(0, 90_000, 10):
        at_ms = 1_000 + number * 20 * (1 + parts_per_million / 1e6)
        slot = slots.slot((number + 1) * 320, at_ms)
        assert abs(slot * 20 - at_ms) <= 30
