"""Who serves a stage next: held off after faults, taken back when the time is over."""

from hypothesis import given
from hypothesis import strategies as st

from natter_gateway.leases.chain import FIRST_HOLD_OFF_S, LASTING_HOLD_OFF_S, LONGEST_HOLD_OFF_S, STEADY_S, Chain


def served_by(chain: Chain, now: float = 0.0) -> str:
    provider = chain.order(now)[0]
    chain.on_leased(provider, now)
    return provider


def test_the_first_is_wanted_first() -> None:
    assert served_by(Chain(["deepgram", "local"])) == "deepgram"


def test_a_fault_leads_to_the_next() -> None:
    chain = Chain(["deepgram", "local"])
    served_by(chain)
    chain.on_fault("deepgram", "down", 0.0, lasting=False)
    assert served_by(chain) == "local"


def test_the_first_is_taken_back_when_its_hold_off_is_over() -> None:
    chain = Chain(["deepgram", "local"])
    served_by(chain)
    chain.on_fault("deepgram", "down", 0.0, lasting=False)
    served_by(chain)
    assert chain.better(FIRST_HOLD_OFF_S - 0.1) == []
    assert chain.better(FIRST_HOLD_OFF_S) == ["deepgram"]


def test_a_second_fault_holds_off_twice_as_long() -> None:
    chain = Chain(["deepgram", "local"])
    for now in (0.0, FIRST_HOLD_OFF_S):
        chain.on_leased("deepgram", now)
        chain.on_fault("deepgram", "down", now, lasting=False)
    chain.on_leased("local", FIRST_HOLD_OFF_S)
    assert chain.better(3 * FIRST_HOLD_OFF_S - 0.1) == []
    assert chain.better(3 * FIRST_HOLD_OFF_S) == ["deepgram"]


def test_who_served_long_is_trusted_again() -> None:
    chain = Chain(["deepgram", "local"])
    chain.on_leased("deepgram", 0.0)
    chain.on_fault("deepgram", "down", 0.0, lasting=False)
    chain.on_leased("deepgram", 20.0)
    now = 21.0 + STEADY_S
    chain.on_fault("deepgram", "down", now, lasting=False)
    chain.on_leased("local", now)
    assert chain.better(now + FIRST_HOLD_OFF_S) == ["deepgram"]


def test_a_provider_without_an_alternative_is_tried_again_at_once_but_not_without_end() -> None:
    chain = Chain(["deepgram"])
    pauses: list[float] = []
    for _ in range(4):
        chain.on_leased("deepgram", 0.0)
        chain.on_fault("deepgram", "down", 0.0, lasting=False)
        assert chain.order(0.0) == ["deepgram"]
        pauses.append(chain.pause_s(0.0))
    assert pauses[0] == 0.0
    assert pauses[-1] > 0.0


def test_faults_in_a_row_are_waited_for_whoever_has_them() -> None:
    chain = Chain(["deepgram", "gladia"])
    for provider in ("deepgram", "gladia", "deepgram", "gladia"):
        chain.on_leased(provider, 0.0)
        chain.on_fault(provider, "down", 0.0, lasting=False)
    assert chain.pause_s(0.0) > 0.0
    assert chain.pause_s(10.0) == 0.0


def test_a_lasting_fault_without_an_alternative_is_hopeless_and_says_why() -> None:
    chain = Chain(["elevenlabs"])
    chain.on_leased("elevenlabs", 0.0)
    chain.on_fault("elevenlabs", "there is no such voice", 0.0, lasting=True)
    assert chain.order(0.0) == []
    assert chain.hopeless(0.0) == "there is no such voice"
    assert chain.pause_s(0.0) == LASTING_HOLD_OFF_S
    assert chain.hopeless(LASTING_HOLD_OFF_S) is None


@given(st.lists(st.tuples(st.sampled_from(["a", "b", "c"]), st.floats(0, 50), st.booleans()), max_size=30))
def test_whatever_happens_everybody_gets_another_chance(faults: list[tuple[str, float, bool]]) -> None:
    chain = Chain(["a", "b", "c"])
    now = 0.0
    for provider, after_s, lasting in faults:
        now += after_s
        chain.on_leased(provider, now)
        chain.on_fault(provider, "down", now, lasting=lasting)
        assert len(set(chain.order(now))) == len(chain.order(now))
    assert chain.order(now + LONGEST_HOLD_OFF_S) == ["a", "b", "c"]
