"""Finals that differ from what the interims said, and how far interims trail the audio."""

import json
from typing import Any

import pytest

from natter_emulators.deepgram.flux import Flux, FluxOptions
from natter_emulators.deepgram.listen import Listen, ListenOptions
from natter_emulators.gladia.live import Live, LiveOptions
from natter_emulators.marks import caller_speech, speak
from natter_emulators.misheard import misheard
from natter_emulators.script import Delays, Fault, Part, Script
from natter_emulators.telling import Teller

RATE_HZ = 16_000
FRAME_BYTES = 640
SENTENCES = ("what time is it", "yes please", "tell me more")


def silence(ms: int) -> bytes:
    return bytes(RATE_HZ * ms // 1000 * 2)


def said(text: str) -> bytes:
    return speak(text, RATE_HZ).pcm.astype("<i2").tobytes()


def test_every_so_many_th_utterance_is_misheard_in_its_newest_word():
    assert misheard(["what", "time"], 5, 5) != ["what", "time"]
    assert misheard(["what", "time"], 5, 5)[0] == "what"
    assert misheard(["what", "time"], 4, 5) == ["what", "time"]
    assert misheard(["what", "time"], 5, 0) == ["what", "time"]
    assert misheard([], 5, 5) == []


def test_listen_takes_back_a_word_of_every_second_utterance_only():
    listen = Listen(ListenOptions(interim_results=True, endpointing_ms=300), "r", finals_differ_every=2)
    told = list(listen.feed(b"".join(said(text) + silence(1200) for text in SENTENCES)))
    texts = [(one["is_final"], one["channel"]["alternatives"][0]) for one in told]
    finals = [place for place, (is_final, told) in enumerate(texts) if is_final and told["words"]]
    assert [texts[place][1]["transcript"] for place in finals] == list(SENTENCES)
    differs = [texts[place - 1][1]["transcript"] != texts[place][1]["transcript"] for place in finals]
    assert differs == [False, True, False]
    wrong = texts[finals[1] - 1][1]
    assert wrong["transcript"] == " ".join(word["word"] for word in wrong["words"])


def test_an_utterance_stays_one_whoever_asks_for_finals():
    listen = Listen(ListenOptions(interim_results=True, endpointing_ms=None), "r", finals_differ_every=1)
    told = [*listen.feed(said("yes please")), *listen.finalize(), *listen.feed(silence(300) + said("tell me"))]
    interims = [one["channel"]["alternatives"][0]["transcript"] for one in told if not one["is_final"]]
    assert all(not text.endswith(("yes", "please", "tell", "me")) for text in interims)


def test_an_end_of_turn_says_what_was_said():
    flux = Flux(FluxOptions(eager_eot_threshold=0.5), "r", finals_differ_every=1)
    told = list(flux.feed(said("what time is it") + silence(1000)))
    by_event = {one["event"]: one["transcript"] for one in told}
    assert by_event["EagerEndOfTurn"] == by_event["EndOfTurn"] == "what time is it"
    last = next(one for one in told if len(one["words"]) == 4)
    assert last["event"] == "Update"
    assert last["transcript"] != "what time is it"


def test_gladias_partials_differ_too():
    options = LiveOptions(messages={"receive_partial_transcripts": True, "receive_final_transcripts": True})
    live = Live(options, "s", finals_differ_every=1)
    told = [one["data"] for one in live.feed(said("what time is it") + silence(500))]
    assert told[-1]["is_final"]
    assert told[-1]["utterance"]["text"] == "what time is it"
    assert told[-2]["utterance"]["text"].startswith("what time is")
    assert told[-2]["utterance"]["text"] != "what time is it"


class NotedOutbox:
    """Says after how much audio, and by how much delayed, each message was put."""

    def __init__(self) -> None:
        self.received_ms = 0.0
        self.put_at: list[tuple[float, float, dict[str, Any]]] = []

    def put(self, message: str, *, delay_ms: float = 0) -> None:
        self.put_at.append((self.received_ms, delay_ms, json.loads(message)))


@pytest.mark.parametrize("frames", [1, 2, 5])
def test_an_interim_leaves_when_the_audio_is_so_far_behind_its_newest_word(frames: int):
    outbox = NotedOutbox()
    listen = Listen(ListenOptions(interim_results=True, endpointing_ms=None), "r")
    teller = Teller(
        None,  # pyright: ignore[reportArgumentType] # only a script that cuts asks for the connection
        outbox,  # pyright: ignore[reportArgumentType]
        listen,
        Part(Fault.NONE, Script(), 0),
        Delays(interim_ms=100),
        is_final=lambda message: bool(message["is_final"]),
        is_interim=lambda message: not message["is_final"],
    )
    speech = caller_speech("What is the capital of France?")
    pcm = speech.pcm.astype("<i2").tobytes() + silence(400)
    for at in range(0, len(pcm), frames * FRAME_BYTES):
        piece = pcm[at : at + frames * FRAME_BYTES]
        outbox.received_ms += len(piece) / 32
        teller.tell(listen.feed(piece))
    assert len(outbox.put_at) == len(speech.words)
    for (received_ms, delay_ms, message), word in zip(outbox.put_at, speech.words, strict=True):
        end_ms = message["channel"]["alternatives"][0]["words"][-1]["end"] * 1000
        assert end_ms == pytest.approx(word.to_sample / 16, abs=20)
        # Audio that comes in large pieces is late by itself.
        assert received_ms + delay_ms - end_ms == pytest.approx(100 if frames == 1 else max(100, received_ms - end_ms))
