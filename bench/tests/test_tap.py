import asyncio

import nats
import numpy as np
import pytest

from natter_bench.errors import CallError
from natter_bench.main import main
from natter_bench.tap import VoiceTap
from natter_proto import Header, RealmSubjects, Voice, encode, pcm_audio


def frame(turn, segment, pcm, first_sample=0):
    header = Header(turn=turn, attempt=1, segment=segment)
    return encode(Voice(header=header, audio=pcm_audio(pcm.astype("<i2").tobytes(), 24_000, first_sample)))


async def publish(nats_url, realm, session, payloads):
    client = await nats.connect(nats_url)
    for payload in payloads:
        await client.publish(RealmSubjects(realm).session(session).voice, payload)
    await client.flush()
    await client.close()


async def until(condition):
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.005)


async def test_segments_are_put_together_in_the_order_of_playing(nats_url, realm):
    sound = np.arange(960, dtype=np.int16)
    async with VoiceTap.open(nats_url, realm) as tap:
        await tap.listen("one")
        frames = [frame(2, 1, sound), frame(1, 2, sound[480:], 480), frame(1, 2, sound[:480]), frame(1, 1, sound)]
        await publish(nats_url, realm, "another", frames)
        await publish(nats_url, realm, "one", [b"\xff no frame", *frames])
        await until(lambda: len(tap.segments()) == 3)
    made = tap.segments()
    assert [(one.turn, one.segment) for one in made] == [(1, 1), (1, 2), (2, 1)]
    assert all(np.array_equal(one.pcm, sound) for one in made)
    assert tap.bad_frames == 1


async def test_segments_of_a_window(nats_url, realm):
    async with VoiceTap.open(nats_url, realm) as tap:
        await tap.listen("one")
        await publish(nats_url, realm, "one", [frame(1, 1, np.zeros(480))])
        await until(tap.segments)
        began_s = tap.segments()[0].began_s
        assert tap.segments(after_s=began_s + 0.001) == []
        assert len(tap.segments(after_s=began_s - 0.001)) == 1
        assert tap.segments(before_s=began_s) == []


async def test_names_that_nats_cannot_carry(nats_url):
    with pytest.raises(CallError, match="realm"):
        async with VoiceTap.open(nats_url, "a.b"):
            pass
    async with VoiceTap.open(nats_url, "main") as tap:
        with pytest.raises(CallError, match="no name"):
            await tap.listen("*")


def test_no_broker_is_said_once(unused_address, capsys):
    address = unused_address.replace("http", "nats")
    assert main(["call", "--turns", "1", "--nats", address]) == 2
    assert capsys.readouterr().err.startswith(f"natter-bench: NATS does not answer at {address}")
