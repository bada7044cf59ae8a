"""When a dead process is started again."""

from natter_local.backoff import RestartPolicy


def test_delays_double_up_to_five_seconds() -> None:
    policy = RestartPolicy()
    assert [policy.after_death(1, was_ready=True) for _ in range(7)] == [0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]


def test_a_long_life_begins_anew() -> None:
    policy = RestartPolicy()
    for _ in range(6):
        policy.after_death(1, was_ready=True)
    assert policy.after_death(30, was_ready=True) == 0.2
    assert policy.after_death(29, was_ready=True) == 0.4


def test_five_deaths_without_ever_being_ready_are_enough() -> None:
    policy = RestartPolicy()
    assert [policy.after_death(60, was_ready=False) for _ in range(5)] == [0.2, 0.2, 0.2, 0.2, None]


def test_what_was_ready_once_is_never_given_up() -> None:
    policy = RestartPolicy()
    policy.after_death(1, was_ready=True)
    assert all(policy.after_death(1, was_ready=False) is not None for _ in range(20))
