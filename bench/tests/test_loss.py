import pytest

from natter_bench.loss import LosePackets, NoLoss, RandomLoss


def test_random_loss_repeats_and_is_about_its_fraction():
    lost = [RandomLoss(0.02, seed=4).loses(0) for _ in range(2)]
    assert lost[0] == lost[1]
    loss, again = RandomLoss(0.02, seed=4), RandomLoss(0.02, seed=4)
    pattern = [loss.loses(n) for n in range(10_000)]
    assert pattern == [again.loses(n) for n in range(10_000)]
    assert 150 < sum(pattern) < 250
    assert loss.percent == 2
    assert RandomLoss(0.001).percent == 1


def test_exactly_these():
    loss = LosePackets(frozenset({3}))
    assert [n for n in range(10) if loss.loses(n)] == [3]
    assert not any(NoLoss().loses(n) for n in range(10))


def test_a_fraction_is_a_fraction():
    with pytest.raises(ValueError, match="fraction"):
        RandomLoss(2)
