"""Marks survive what happens to sound on its way, and nothing else is taken for one."""

from itertools import pairwise

import numpy as np
import pytest

from natter_bench.opus import Decoder, Encoder
from natter_bench.speech import INTERRUPTION, LONG_QUESTIONS, QUESTIONS, resample, say
from natter_emulators.marks import LEXICON, MarkListener, caller_speech, count_words, hear, speak, spoken_words
from natter_emulators.marks.tones import MARKS, tone_pair_hz
from natter_emulators.script import DEFAULT_REPLIES

SENTENCES = (*QUESTIONS, *LONG_QUESTIONS[:3], INTERRUPTION, "No no no, stop stop, yes yes yes.", "At 42 I left.")


def silence(seconds, rate_hz):
    return np.zeros(round(seconds * rate_hz), dtype=np.int16)


def through_opus(pcm, rate_hz, *, bitrate_bps, to_hz, lose_every=0):
    """As a call carries it; of every so many packets one is lost, and made again from the copy in the next."""
    encoder = Encoder(rate_hz, bitrate_bps=bitrate_bps, expected_loss_percent=10 if lose_every else 0)
    decoder = Decoder(to_hz)
    size = encoder.frame_samples
    packets = [encoder.encode(pcm[at : at + size]) for at in range(0, len(pcm) - size + 1, size)]
    frames = []
    for number, packet in enumerate(packets):
        if lose_every and number % lose_every == 5 and number + 1 < len(packets):
            frames.append(decoder.recover(packets[number + 1]))
        else:
            frames.append(decoder.decode(packet))
    return np.concatenate(frames)


def test_every_word_has_a_mark_of_its_own():
    assert len(set(LEXICON)) == len(LEXICON) <= MARKS
    pairs = {tone_pair_hz(place) for place in range(MARKS)}
    assert len(pairs) == MARKS
    assert all(2000 < low < high < 7000 for low, high in pairs)


@pytest.mark.parametrize("rate_hz", [16_000, 24_000, 48_000])
def test_the_whole_lexicon_is_heard(rate_hz):
    text = " ".join(LEXICON)
    assert count_words(text, hear(speak(text, rate_hz).pcm, rate_hz)).exact


def test_words_keep_their_punctuation_and_numbers_are_several_words():
    assert [word.text for word in speak("At 42 – now!", 24_000).words] == ["At", "42 –", "now!"]
    assert spoken_words("At 42 – now!")[1] == ("42 –", ("forty", "two"))
    assert [word.text for word in hear(speak("At 42 – now!", 24_000).pcm, 24_000)] == ["at", "forty", "two", "now"]


def test_a_word_without_a_mark_is_named():
    with pytest.raises(ValueError, match="'xylophone'"):
        speak("Play the xylophone.", 24_000)
    unmarked = speak("Play the xylophone now.", 24_000, strict=False)
    assert count_words("play the xylophone now", hear(unmarked.pcm, 24_000)).lost == ("xylophone",)


@pytest.mark.parametrize("words_per_s", [2.0, 3.0, 5.0])
def test_times_are_right_to_20_ms(words_per_s):
    for rate_hz in (16_000, 24_000):
        made = speak("Can you tell me something about the moon?", rate_hz, words_per_s=words_per_s)
        heard = hear(made.pcm, rate_hz)
        assert len(heard) == len(made.words)
        for word, marked in zip(heard, made.words, strict=True):
            assert abs(word.from_sample - marked.from_sample) <= rate_hz * 0.02
            assert abs(word.to_sample - marked.to_sample) <= rate_hz * 0.02


def test_too_fast_for_marks():
    with pytest.raises(ValueError, match="words a second"):
        speak("no", 24_000, words_per_s=6)


def test_the_same_text_sounds_the_same():
    assert np.array_equal(speak("yes and no", 24_000).pcm, speak("yes and no", 24_000).pcm)


@pytest.mark.parametrize(
    ("rate_hz", "bitrate_bps"), [(48_000, 24_000), (48_000, 32_000), (24_000, 24_000), (24_000, 32_000)]
)
@pytest.mark.parametrize("lose_every", [0, 17])
@pytest.mark.parametrize("voice", ["synthetic", "caller"])
def test_marks_survive_opus(rate_hz, bitrate_bps, lose_every, voice):
    for text in SENTENCES:
        made = caller_speech(text) if voice == "caller" else speak(text, 24_000)
        pcm = np.concatenate([silence(0.2, rate_hz), resample(made.pcm, made.rate_hz, rate_hz), silence(0.4, rate_hz)])
        arrived = through_opus(pcm, rate_hz, bitrate_bps=bitrate_bps, to_hz=16_000, lose_every=lose_every)
        count = count_words(text, hear(arrived, 16_000))
        assert count.exact, (text, count)


def test_marks_survive_resampling_and_quieter_playing():
    text = " ".join(QUESTIONS[:4])
    pcm = speak(text, 24_000).pcm
    for rates in ((24_000, 48_000, 16_000), (24_000, 16_000, 48_000)):
        changed = pcm
        for before, after in pairwise(rates):
            changed = resample(changed, before, after)
        assert count_words(text, hear((changed // 8).astype(np.int16), rates[-1])).exact


def test_marks_survive_another_voice_in_the_background():
    other = resample(say(LONG_QUESTIONS[4]).pcm, 24_000, 16_000)
    for text in SENTENCES:
        pcm = caller_speech(text).pcm
        background = np.resize(other, len(pcm)) // 10
        assert count_words(text, hear((pcm + background).astype(np.int16), 16_000)).exact


def test_a_word_that_fades_out_in_40_ms_is_heard_up_to_there():
    made = speak("one two three four", 24_000, words_per_s=2)
    at = (made.words[2].from_sample + made.words[2].to_sample) // 2
    pcm = made.pcm[: at + 960].astype(np.float64)
    pcm[at:] *= np.linspace(1, 0, 960)
    heard = hear(np.concatenate([pcm.astype(np.int16), silence(0.3, 24_000)]), 24_000)
    assert [word.text for word in heard] == ["one", "two", "three"]
    assert abs(heard[2].to_sample - (at + 480)) < 24_000 * 0.03


def test_one_packet_of_nothing_does_not_double_a_word():
    made = speak("one two three", 16_000, words_per_s=2)
    pcm = made.pcm.copy()
    at = (made.words[1].from_sample + made.words[1].to_sample) // 2
    pcm[at : at + 320] = 0
    assert count_words("one two three", hear(pcm, 16_000)).exact


def test_nothing_is_heard_where_nothing_is_marked():
    random = np.random.default_rng(7)
    assert hear(silence(5, 16_000), 16_000) == []
    for level in (30, 1000, 8000):
        noise = random.normal(0, level, 30 * 16_000).clip(-32768, 32767).astype(np.int16)
        assert hear(noise, 16_000) == []
    for text in (*QUESTIONS, *LONG_QUESTIONS, *DEFAULT_REPLIES):
        natural = say(text)
        assert hear(natural.at(16_000).pcm, 16_000) == []
        assert hear(natural.pcm, natural.rate_hz) == []


def test_a_stream_is_heard_as_the_whole_is_whatever_the_pieces():
    text = "Can you tell me something about the moon? No no, wait."
    pcm = np.concatenate([silence(0.1, 16_000), speak(text, 16_000).pcm, silence(0.2, 16_000)])
    whole = hear(pcm, 16_000)
    data = pcm.tobytes()
    for size in (639, 640, 5001):
        listener = MarkListener(16_000)
        words = [word for at in range(0, len(data), size) for word in listener.feed(data[at : at + size])]
        assert words + listener.finish() == whole
        assert listener.samples == len(pcm)


def test_a_word_is_pending_while_it_sounds_and_told_soon_after():
    made = speak("hello", 16_000, words_per_s=2)
    listener = MarkListener(16_000)
    middle = made.words[0].to_sample // 2
    assert listener.feed(made.pcm[:middle].tobytes()) == []
    assert listener.pending == "hello"
    assert listener.feed(made.pcm[middle:].tobytes()) + listener.feed(bytes(640)) != []
    assert listener.pending is None


def test_the_end_of_a_stream_does_not_swallow_its_last_word():
    listener = MarkListener(16_000)
    made = speak("hello there", 16_000)
    heard = listener.feed(made.pcm[: made.words[1].to_sample].tobytes())
    assert [word.text for word in heard + listener.finish()] == ["hello", "there"]
    assert listener.finish() == []


@pytest.mark.parametrize("rate_hz", [8_000, 44_100])
def test_rates_at_which_marks_cannot_be_heard(rate_hz):
    with pytest.raises(ValueError, match="cannot be heard"):
        MarkListener(rate_hz)


def test_a_voice_over_another_rate_keeps_its_marks_below_half_of_it():
    assert max(high for _, high in map(tone_pair_hz, range(MARKS))) < 8_000
