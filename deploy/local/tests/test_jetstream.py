"""Who leads JetStream, by what the nodes say."""

import pytest

from natter_local.jetstream import Vote, elected, meta_vote, stream_vote


@pytest.mark.parametrize(
    ("votes", "leader"),
    [
        ([Vote("nats", 3)] * 3, "nats"),
        ([Vote("nats-2", 3)] * 2, "nats-2"),
        # One was frozen and still takes itself for the leader.
        ([Vote("nats", 3), Vote("nats-2", 3), Vote("nats-2", 3)], "nats-2"),
        ([Vote("nats", 3), Vote("nats-2", 3)], None),
        ([Vote("nats", 2), Vote("nats", 3)], "nats"),
        ([Vote("nats", 1), Vote("nats-2", 3)], None),
        ([Vote("nats", 3)], None),
        ([Vote("nats", 1)], "nats"),
        ([Vote("", 3)] * 3, None),
        ([], None),
    ],
)
def test_more_than_half_of_the_group_name_the_leader(votes: list[Vote], leader: str | None) -> None:
    assert elected(votes) == leader


def test_votes_of_the_meta_group() -> None:
    assert meta_vote({"meta_cluster": {"name": "natter", "leader": "nats-3", "cluster_size": 3}}) == Vote("nats-3", 3)
    assert meta_vote({"meta_cluster": {"name": "natter", "cluster_size": 3}}) == Vote("", 3)


def test_votes_of_a_stream() -> None:
    streams = [
        {"name": "other", "cluster": {"leader": "nats", "replicas": []}},
        {"name": "log", "cluster": {"leader": "nats-2", "replicas": [{"name": "nats"}, {"name": "nats-3"}]}},
        {"name": "alone"},
    ]
    answer = {"account_details": [{"name": "$SYS"}, {"name": "$G", "stream_detail": streams}]}
    assert stream_vote(answer, "log") == Vote("nats-2", 3)
    assert stream_vote(answer, "other") == Vote("nats", 1)
    assert stream_vote(answer, "alone") is None
    assert stream_vote(answer, "none") is None


@pytest.mark.parametrize(
    "answer", [None, [], "x", {}, {"meta_cluster": []}, {"account_details": [1, {"stream_detail": 2}]}]
)
def test_answers_that_say_nothing(answer: object) -> None:
    assert meta_vote(answer) is None
    assert stream_vote(answer, "log") is None
