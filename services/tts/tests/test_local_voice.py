"""The built-in voice, for real."""

import asyncio
from contextlib import aclosing

import numpy as np
import pytest

from natter_tts.local import LocalProvider
from natter_tts.provider import SpokenWord, TtsError, TtsSettings, VoiceChunk

ABOVE = 10 ** (-45 / 20)


async def speak(voice: LocalProvider, text: str, spoken: str | None = None, speed: float = 1.0) -> list[VoiceChunk]:
    stream = voice.open(TtsSettings(speed=speed))
    async with aclosing(
        stream.synthesize(text, text if spoken is None else spoken, attempt="1.1", last=False)
    ) as chunks:
        return [chunk async for chunk in chunks]


def samples_of(chunks: list[VoiceChunk]) -> np.ndarray:
    return np.frombuffer(b"".join(chunk.pcm for chunk in chunks), "<i2") / 32768


def words_of(chunks: list[VoiceChunk]) -> list[SpokenWord]:
    return [word for chunk in chunks for word in chunk.words]


def sound_ms(audio: np.ndarray) -> tuple[float, float]:
    """First and last millisecond above -45 dBFS."""
    loud = np.flatnonzero(np.sqrt((audio[: len(audio) // 24 * 24].reshape(-1, 24) ** 2).mean(axis=1)) > ABOVE)
    return float(loud[0]), float(loud[-1] + 1)


@pytest.mark.parametrize(
    ("text", "pause_ms"),
    [("Hello there, how are you today?", 250), ("Well then,", 120), ("Sure.", 250), ("It costs $3.50 at 5:30 pm", 20)],
)
async def test_it_starts_with_its_sound_and_ends_with_its_pause(
    local_voice: LocalProvider, text: str, pause_ms: int
) -> None:
    chunks = await speak(local_voice, text)
    audio = samples_of(chunks)
    first, last = sound_ms(audio)
    assert first <= 20
    # Quiet consonants at the end lie below the level that counts as heard; the last frame is filled up.
    assert pause_ms - 30 <= len(audio) / 24 - last <= pause_ms + 60


async def test_chunks_and_words_are_in_order(local_voice: LocalProvider) -> None:
    text = "One. Two 😀 sentences at https://example.com here! And a third one."
    chunks = await speak(local_voice, text, "One. Two sentences at the link here! And a third one.")
    assert len(chunks[0].pcm) == 960
    position = 0
    for chunk in chunks:
        assert chunk.first_sample == position
        assert len(chunk.pcm) <= 9600
        position += len(chunk.pcm) // 2
        assert chunk.end or all(chunk.first_sample <= word.from_sample < position for word in chunk.words)
    assert chunks[-1].end
    assert chunks[-1].total_samples == position
    assert [word.text for word in words_of(chunks)] == text.split()


async def test_word_times_lie_on_the_sound(local_voice: LocalProvider) -> None:
    """The guard for the model's inner durations: 25 ms a frame, as `phonemes` relies on."""
    chunks = await speak(local_voice, "Banana potato tomato.")
    audio = samples_of(chunks)
    words = words_of(chunks)
    first, last = sound_ms(audio)
    assert words[0].from_sample / 24 <= first + 60
    assert abs(words[-1].to_sample / 24 - last) <= 120
    assert not any(word.estimated for word in words)
    for word in words:
        middle = audio[word.from_sample : word.to_sample]
        assert np.sqrt((middle**2).mean()) > 2 * ABOVE


@pytest.mark.parametrize("spoken", ["", "...", "😀", "!?", "日本語"])
async def test_nothing_to_say_is_an_end_without_samples(local_voice: LocalProvider, spoken: str) -> None:
    chunks = await speak(local_voice, "Some 😀 text", spoken)
    assert [(chunk.end, chunk.total_samples, chunk.pcm) for chunk in chunks] == [(True, 0, b"")]
    assert [word.text for word in words_of(chunks)] == ["Some", "😀", "text"]


@pytest.mark.parametrize("spoken", ["a" * 400, "word " * 150, "1234567890 " * 30, "é ü ñ", "[a](/b/) c", "C++ <b> a*b"])
async def test_odd_text_does_not_break_it(local_voice: LocalProvider, spoken: str) -> None:
    chunks = await speak(local_voice, spoken)
    assert chunks[-1].end
    assert [word.text for word in words_of(chunks)] == spoken.split()


async def test_speed_changes_length(local_voice: LocalProvider) -> None:
    slow = await speak(local_voice, "Hello there, how are you?", speed=0.7)
    fast = await speak(local_voice, "Hello there, how are you?", speed=1.5)
    assert slow[-1].total_samples > 1.5 * fast[-1].total_samples


async def test_sessions_take_turns(local_voice: LocalProvider) -> None:
    made = await asyncio.gather(*(speak(local_voice, f"This is session {n}.") for n in range(4)))
    assert all(chunks[-1].total_samples > 12_000 for chunks in made)


@pytest.mark.parametrize("settings", [TtsSettings(voice="nobody"), TtsSettings(language="de"), TtsSettings(speed=9)])
async def test_what_it_can_not_do_is_refused(local_voice: LocalProvider, settings: TtsSettings) -> None:
    with pytest.raises(TtsError):
        local_voice.open(settings)
