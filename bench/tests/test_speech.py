import numpy as np
import pytest

from natter_bench import speech
from natter_bench.levels import level_dbfs
from natter_bench.opus import Decoder
from natter_bench.speech import EncodedSpeech, Speech, encode, microphone_wav, read_wav, resample, say, trimmed


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


def test_the_built_in_voice_speaks_and_is_kept(cache, monkeypatch):
    made = say("Hello there, how are you?", voice="hibari")
    assert made.rate_hz == 24_000
    assert 0.5 < made.duration_s < 4
    assert level_dbfs(made.pcm) > -35
    monkeypatch.setattr(speech, "_say_hibari", lambda _: pytest.fail("made twice"))
    assert np.array_equal(say("Hello there, how are you?", voice="hibari").pcm, made.pcm)
    assert len(list(cache.rglob("*.wav"))) == 1


def test_speech_begins_and_ends_with_sound():
    made = say("Hello there.", voice="hibari")
    raw = say("Hello there.", voice="hibari", trim=False)
    assert len(made.pcm) < len(raw.pcm)
    assert level_dbfs(made.pcm[:480]) > -55
    assert level_dbfs(made.pcm[-480:]) > -55


def test_no_voice_says_what_to_install(monkeypatch):
    monkeypatch.setattr(speech, "_hibari_class", lambda: None)
    monkeypatch.setattr("shutil.which", lambda _: None)
    with pytest.raises(speech.SpeechError, match="neither hibari-tts nor espeak-ng"):
        say("Hello.")


def test_resampling_keeps_a_tone():
    tone = (10_000 * np.sin(2 * np.pi * 440 * np.arange(24_000) / 24_000)).astype(np.int16)
    for rate_hz in (16_000, 48_000):
        out = resample(tone, 24_000, rate_hz)
        assert len(out) == rate_hz
        assert np.argmax(np.abs(np.fft.rfft(out))) == 440
        assert level_dbfs(out) == pytest.approx(level_dbfs(tone), abs=0.1)


def test_a_file_for_a_browsers_microphone(tmp_path, voice_like):
    path = microphone_wav(tmp_path / "mic.wav", Speech("x", voice_like(1, 24_000), 24_000), leading_s=2, trailing_s=3)
    pcm, rate_hz = read_wav(path)
    assert (rate_hz, len(pcm)) == (48_000, 6 * 48_000)
    assert level_dbfs(pcm[: 2 * 48_000 - 480]) < -60
    assert level_dbfs(pcm[2 * 48_000 : 3 * 48_000]) > -30
    assert level_dbfs(pcm[3 * 48_000 + 480 :]) < -60


@pytest.mark.parametrize("rate_hz", [16_000, 24_000, 48_000])
def test_encoded_speech_has_levels_and_sounds_the_same(rate_hz, voice_like):
    pcm = voice_like(1.01, rate_hz)
    made = encode(pcm, rate_hz)
    assert len(made.frames) == len(made.dbfs) == 51
    assert made.duration_s == pytest.approx(1.02)
    decoder = Decoder(rate_hz)
    back = np.concatenate([decoder.decode(frame) for frame in made.frames])
    assert level_dbfs(back) == pytest.approx(level_dbfs(pcm), abs=2)


def test_trimming_silence_leaves_nothing():
    assert len(trimmed(np.zeros(24_000, dtype=np.int16), 24_000)) == 0
    assert encode(np.zeros(0, dtype=np.int16), 24_000) == EncodedSpeech((), ())
