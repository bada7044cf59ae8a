import pytest

from natter_bench.speculation import Speculation, speculation_of

METRICS = """\
# HELP natter_attempts_total Generations asked of the model
# TYPE natter_attempts_total counter
natter_attempts_total{kind="committed"} 6.0
natter_attempts_total{kind="speculative"} 20.0
natter_attempts_created{kind="committed"} 1.7e+09
natter_speculations_total{outcome="used"} 17.0
natter_speculations_total{outcome="wasted"} 3.0
natter_wasted_tokens_total 41.0
natter_wasted_characters_total 200.0
natter_wasted_voice_seconds_total 3.5
natter_sessions 1.0
"""


def test_what_the_gateway_counts():
    told = speculation_of(METRICS)
    assert told == Speculation(6, 20, 17, 3, 41, 200, 3.5)
    assert told.wasted_share == pytest.approx(3 / 26)


def test_a_gateway_that_does_not_guess_counts_nothing():
    told = speculation_of("process_cpu_seconds_total 1\n")
    assert told == Speculation()
    assert told.wasted_share is None


def test_a_label_that_was_never_counted_is_zero():
    told = speculation_of('natter_attempts_total{kind="committed"} 6.0\nnatter_speculations_total{outcome="used"} 1\n')
    assert (told.speculative, told.wasted, told.wasted_share) == (0, 0, 0)
