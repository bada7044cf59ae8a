"""What is written down of a case."""

import io
import wave

import numpy as np

from natter_bench.opus import Encoder
from natter_bench.recording import FRAME_SAMPLES, VOICE_HZ, ReceivedPacket, Recording, SentFrame
from natter_bench.talk.cases import chosen
from natter_bench.talk.keeping import stereo_wav, story
from natter_bench.talk.observer import Asked, Detected, Observed
from natter_bench.talk.player import Played


def played() -> Played:
    """Two seconds: the caller from 0.5 to 1.0 s, the bot from 1.4 s; what is received begins 0.1 s late."""
    tone = (np.sin(np.arange(VOICE_HZ * 2) / 20) * 8000).astype(np.int16)
    sent = [SentFrame(n * 0.02, -20.0 if 25 <= n < 50 else -120.0) for n in range(100)]
    encoder = Encoder(VOICE_HZ)
    silence = np.zeros(FRAME_SAMPLES, dtype=np.int16)
    packets = [
        ReceivedPacket(0.1 + n * 0.02, n, n * 960, encoder.encode(tone[:FRAME_SAMPLES] if n >= 65 else silence))
        for n in range(95)
    ]
    microphone = [tone[:FRAME_SAMPLES] if 25 <= n < 50 else silence for n in range(100)]
    observed = Observed(
        detected=[Detected(1.2, "pause", 1000.0, 0.9)],
        asked=[Asked(1.21, (1, 1), "hello", verbatim=False, heard_before="")],
        finalized=[(1.1, 1000.0)],
        committed={(1, 1): 1.22},
        replied={(1, 1): 1.3},
        voiced={(1, 1): 1.35},
    )
    recording = Recording(sent=sent, packets=packets)
    return Played(chosen(None, "plain-01")[0], recording=recording, observed=observed, sent=microphone)


def test_a_story_is_in_order() -> None:
    lines = story(played()).splitlines()
    assert [float(line.split()[0]) for line in lines] == sorted(float(line.split()[0]) for line in lines)
    told = [" ".join(line.split()[1:3]) for line in lines]
    assert told == [
        "CALLER begins",
        "CALLER ends",
        "finalize through",
        "vad pause",
        "asked (1,",
        "committed (1,",
        "text of",
        "voice of",
        "BOT audible",
        "BOT quiet",
    ]


def test_both_sides_are_on_one_clock() -> None:
    with wave.open(io.BytesIO(stereo_wav(played()))) as file:
        assert (file.getnchannels(), file.getframerate()) == (2, VOICE_HZ)
        both = np.frombuffer(file.readframes(file.getnframes()), dtype="<i2").reshape(-1, 2)
    caller, bot = (int(np.argmax(np.abs(both[:, side]) > 1000)) / VOICE_HZ for side in (0, 1))
    assert abs(caller - 0.5) < 0.03
    assert abs(bot - 1.4) < 0.03
