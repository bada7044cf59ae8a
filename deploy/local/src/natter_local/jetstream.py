"""Who leads JetStream in a cluster, asked of the nodes' monitoring ports."""

import asyncio
import http.client
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, cast

from natter_local.ready import http_get


@dataclass(frozen=True, slots=True)
class Vote:
    """What one node says: who leads, of a group of how many. No leader is an empty name."""

    leader: str
    group_size: int


async def jetstream_leader(monitor_urls: Iterable[str], stream: str | None = None) -> str | None:
    """Name of the node that leads the meta group, or `stream`; None while there is none, or no such stream.

    A node that does not answer within 2 s has no vote. Shortly after a leader died the others may still name it.
    """
    answers = await asyncio.gather(*(_ask(url, of_streams=stream is not None) for url in monitor_urls))
    votes = (meta_vote(answer) if stream is None else stream_vote(answer, stream) for answer in answers)
    return elected([vote for vote in votes if vote is not None])


def elected(votes: Sequence[Vote]) -> str | None:
    """Whom more than half of the group name: a node that was frozen may still take itself for the leader."""
    # Nodes that have just met may not know of each other yet.
    group_size = max((vote.group_size for vote in votes), default=0)
    counted = Counter(vote.leader for vote in votes)
    return next((leader for leader, count in counted.items() if leader and 2 * count > group_size), None)


def meta_vote(answer: Any) -> Vote | None:
    """From an answer of `/jsz`."""
    meta = _fields(_fields(answer).get("meta_cluster"))
    size = meta.get("cluster_size")
    return Vote(str(meta.get("leader") or ""), size) if isinstance(size, int) else None


def stream_vote(answer: Any, stream: str) -> Vote | None:
    """From an answer of `/jsz?accounts=true&streams=true`; None from a node that does not hold the stream."""
    for account in _list(_fields(answer).get("account_details")):
        for detail in _list(_fields(account).get("stream_detail")):
            cluster = _fields(_fields(detail).get("cluster"))
            if _fields(detail).get("name") == stream and cluster:
                # A node lists the others of the group.
                return Vote(str(cluster.get("leader") or ""), 1 + len(_list(cluster.get("replicas"))))
    return None


async def _ask(monitor_url: str, *, of_streams: bool) -> Any:
    query = "?accounts=true&streams=true" if of_streams else ""
    try:
        status, body = await http_get(f"{monitor_url}/jsz{query}")
        return json.loads(body) if status == http.client.OK else None
    except (OSError, http.client.HTTPException, ValueError):
        return None


def _fields(value: Any) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return cast("list[Any]", value) if isinstance(value, list) else []
