import pytest
from aiortc.mediastreams import MediaStreamError

from natter_bench.levels import SILENCE_DBFS
from natter_bench.microphone import Microphone
from natter_bench.opus import RTP_TICKS_PER_FRAME
from natter_bench.speech import EncodedSpeech

SPEECH = EncodedSpeech((b"a", b"b"), (-20.0, -21.0))


async def test_speech_in_silence_on_one_clock():
    microphone = Microphone()
    first = await microphone.recv()
    said = microphone.say(SPEECH)
    packets = [await microphone.recv() for _ in range(3)]
    assert [bytes(packet) for packet in packets[:2]] == [b"a", b"b"]
    assert bytes(packets[2]) == bytes(first)
    assert [packet.pts for packet in [first, *packets]] == [n * RTP_TICKS_PER_FRAME for n in range(4)]
    assert said.done()
    assert microphone.level_dbfs == SILENCE_DBFS


async def test_levels_go_with_the_frames():
    microphone = Microphone()
    microphone.say(SPEECH)
    levels = []
    for _ in range(3):
        await microphone.recv()
        levels.append(microphone.level_dbfs)
    assert levels == [-20.0, -21.0, SILENCE_DBFS]


async def test_hush_ends_what_is_being_said():
    microphone = Microphone()
    one, two = microphone.say(SPEECH), microphone.say(SPEECH)
    await microphone.recv()
    microphone.hush()
    assert one.done()
    assert two.done()
    await microphone.recv()
    assert microphone.level_dbfs == SILENCE_DBFS


async def test_nothing_to_say_is_said():
    assert Microphone().say(EncodedSpeech((), ())).done()


async def test_a_stopped_microphone_gives_nothing():
    microphone = Microphone()
    microphone.stop()
    with pytest.raises(MediaStreamError):
        await microphone.recv()
