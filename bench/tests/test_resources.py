import json
import os

import httpx
import pytest

from natter_bench.errors import CallError
from natter_bench.resources import (
    Service,
    Usage,
    costs,
    nats_of,
    process_usage,
    read_services,
    usage,
    usage_of_metrics,
    usages,
)

URL = "http://127.0.0.1:7860"


def test_services_from_file_and_pairs(tmp_path):
    path = tmp_path / "services.json"
    path.write_text(json.dumps({"gateway": {"url": URL, "pid": 7}, "stt": [{"pid": 8}, {"pid": 9}]}))
    assert read_services(URL, ["vad=http://127.0.0.1:9"], path) == [
        Service("gateway", URL, 7),
        Service("stt", None, 8),
        Service("stt-2", None, 9),
        Service("vad", "http://127.0.0.1:9"),
    ]
    assert read_services(URL, [], None) == [Service("gateway", URL)]


@pytest.mark.parametrize(
    ("nats", "url"),
    [
        ({"url": "nats://a:1", "pid": 7}, "nats://a:1"),
        ([{"url": "nats://a:1", "pid": 7}, {"url": "nats://a:2", "pid": 8}], "nats://a:1,nats://a:2"),
        ({"pid": 7}, None),
        ([], None),
    ],
)
def test_the_brokers_address(tmp_path, nats, url):
    path = tmp_path / "services.json"
    path.write_text(json.dumps({"nats": nats}))
    assert nats_of(path) == url
    assert nats_of(None) is None


@pytest.mark.parametrize("content", ["[]", "{", '{"stt": {}}', '{"stt": {"pid": "x"}}', '{"stt": 1}'])
def test_a_bad_file_is_named(tmp_path, content):
    path = tmp_path / "services.json"
    path.write_text(content)
    with pytest.raises(CallError, match=r"services\.json"):
        read_services(URL, [], path)


@pytest.mark.parametrize("pair", ["stt", "=http://x", "stt=127.0.0.1:9"])
def test_a_bad_pair_is_named(pair):
    with pytest.raises(CallError, match="NAME=http"):
        read_services(URL, [pair], None)


def test_metrics_text():
    text = (
        "# TYPE process_cpu_seconds_total counter\nprocess_cpu_seconds_total 3.5\nprocess_resident_memory_bytes 1e+06\n"
    )
    assert usage_of_metrics(text) == Usage(3.5, 1e6)
    assert usage_of_metrics("other 1\n") is None
    assert usage_of_metrics("process_cpu_seconds_total nonsense\n") is None


def test_a_process():
    found = process_usage(os.getpid())
    assert found.cpu_s > 0
    assert found.memory_bytes > 1e6
    assert process_usage(2**22 + 1) is None


async def test_a_service_that_tells_and_one_that_does_not(serve_bot, unused_address):
    async with serve_bot() as bot, httpx.AsyncClient() as http:
        assert await usage(http, Service("gateway", bot.url)) == Usage(12.5, 1.5e8)
        found = await usages(http, [Service("gateway", bot.url), Service("gone", unused_address), Service("none")])
        assert list(found) == ["gateway"]


def test_cost_per_session_second():
    found = costs({"a": Usage(1, 0)}, {"a": Usage(2, 5e6), "b": Usage(1, 1)}, 100)
    assert list(found) == ["a"]
    assert found["a"].cpu_s_per_session_s == pytest.approx(0.01)
    assert found["a"].memory_mb == 5
