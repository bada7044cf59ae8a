import numpy as np

from natter_bench.ear import Ear
from natter_bench.levels import SILENCE_DBFS
from natter_bench.opus import Encoder
from natter_bench.recording import ReceivedPacket


def packet(sequence, payload):
    return ReceivedPacket(sequence * 0.02, sequence & 0xFFFF, 0, payload)


def test_sound_silence_and_the_same_silence(voice_like):
    encoder = Encoder(24_000)
    loud = [encoder.encode(part) for part in voice_like(0.2, 24_000).reshape(-1, 480)]
    quiet = [encoder.encode(np.zeros(480, dtype=np.int16)) for _ in range(60)]
    ear = Ear()
    levels = [
        ear.level_dbfs(packet(0xFFFA + n, payload)) for n, payload in enumerate([*loud, *quiet, quiet[-1], *loud])
    ]
    assert all(level > -45 for level in levels[2:10])
    assert levels[70] < -80
    assert levels[-1] > -45
    assert ear.late == 0


def test_late_packets_are_counted_and_garbage_is_silent():
    ear = Ear()
    assert ear.level_dbfs(packet(5, b"\xff\xff\xff")) == SILENCE_DBFS
    ear.level_dbfs(packet(4, b"\xff"))
    assert ear.late == 1
