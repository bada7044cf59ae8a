"""Frames on a session's subjects that nobody may act on: counted, logged without words, and never heard or shown."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import nats
import pytest
import pytest_asyncio

from natter_bench.caller import Caller
from natter_bench.speech import EncodedSpeech
from natter_local.system import GATEWAY, LocalSystem
from natter_proto import (
    Audio,
    Codec,
    EndReason,
    Fault,
    Header,
    RealmSubjects,
    Reply,
    ReplyKind,
    Report,
    SessionSubjects,
    Speech,
    SpeechEvent,
    Stage,
    Transcript,
    Voice,
    Word,
    encode,
    pcm_audio,
)
from natter_testing.emulated_system import ALL
from natter_testing.still_working import (
    drops_reach,
    frames_dropped,
    is_answered_aloud,
    is_answered_in_text,
    last_message_s,
)

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(90)]

GARBAGE = b"\xff\xff\xff\xff no protobuf"
SECRET = "xylophone marmalade"


@dataclass
class Intruder:
    """Somebody on NATS who sends what should not be there."""

    client: nats.NATS
    subjects: SessionSubjects

    async def send(self, subject: str, *payloads: bytes) -> None:
        for payload in payloads:
            await self.client.publish(subject, payload)
        await self.client.flush()


@pytest_asyncio.fixture(loop_scope="module")
async def intruder(system: LocalSystem, caller: Caller) -> AsyncIterator[Intruder]:
    assert caller.pc_id is not None
    client = await nats.connect(system.nats_url)
    yield Intruder(client, RealmSubjects("main").session(caller.pc_id.partition(".")[0]))
    await client.close()


async def test_garbage_for_the_gateway(
    caller: Caller, http: httpx.AsyncClient, intruder: Intruder, speech: EncodedSpeech
) -> None:
    subjects = intruder.subjects
    wrong_rate = encode(Voice(audio=Audio(codec=Codec.CODEC_PCM_S16LE, rate_hz=8_000, channels=1, data=b"\0\0")))
    too_long = encode(Voice(audio=pcm_audio(bytes(2 * 24_000), 24_000, 0)))
    wrong_count = encode(
        Voice(audio=Audio(codec=Codec.CODEC_PCM_S16LE, rate_hz=24_000, channels=1, sample_count=7, data=b"\0" * 99))
    )
    sent = {subjects.report(report): [GARBAGE, b"x" * 600_000] for report in Report if report is not Report.TOOL}
    sent[subjects.voice] = [GARBAGE, wrong_rate, too_long, wrong_count]
    for subject, payloads in sent.items():
        kind = subject.rpartition(".")[2]
        before = await frames_dropped(http, kind=kind, reason="bad_frame")
        await intruder.send(subject, *payloads)
        await drops_reach(http, before + len(payloads), kind=kind, reason="bad_frame")
    await intruder.send(f"{subjects.report(Report.SPEECH).removesuffix('speech')}nonsense", GARBAGE)
    await drops_reach(http, 1, kind="nonsense", reason="unknown_report")
    await intruder.send(subjects.ask("mic"), GARBAGE)  # pyright: ignore[reportArgumentType]
    await drops_reach(http, 1, kind="mic", reason="bad_frame")
    await is_answered_aloud(caller, speech)


async def test_garbage_for_the_stages(
    system: LocalSystem, caller: Caller, intruder: Intruder, speech: EncodedSpeech
) -> None:
    root = intruder.subjects.mic.removesuffix("mic")
    async with httpx.AsyncClient(base_url=system.of(ALL)[0].url, trust_env=False) as stages:
        for kind in ("mic", "c.state", "c.turn", "c.finalize", "r.reply"):
            name = kind.rpartition(".")[2]
            before = await frames_dropped(stages, kind=name, reason="bad_frame")
            await intruder.send(root + kind, GARBAGE)
            await drops_reach(stages, before + 1, kind=name, reason="bad_frame")
        await intruder.send(f"{root}c.nonsense", GARBAGE)
        await drops_reach(stages, 1, kind="nonsense", reason="unknown_control")
    await is_answered_aloud(caller, speech)


FOREIGN = {
    "an older epoch": Header(term=1, epoch=0, turn=1, attempt=1, segment=1),
    "an epoch to come": Header(term=1, epoch=99, turn=1, attempt=1, segment=1),
    "another term": Header(term=7, epoch=1, turn=1, attempt=1, segment=1),
    "a turn long gone": Header(term=1, epoch=1, turn=0, attempt=1, segment=1),
    "an attempt to come": Header(term=1, epoch=1, turn=900, attempt=3, segment=1),
}


@pytest.mark.parametrize("whose", FOREIGN)
async def test_frames_of_others_are_neither_heard_nor_shown(
    caller: Caller, http: httpx.AsyncClient, intruder: Intruder, whose: str
) -> None:
    header, subjects = FOREIGN[whose], intruder.subjects
    of_attempts_only = header.epoch == header.term == 1
    before_s, before = last_message_s(caller), await frames_dropped(http)
    loud = b"\x00\x40\x00\xc0" * 240
    frames = [
        (subjects.voice, Voice(header=header, audio=pcm_audio(loud, 24_000, 0))),
        (subjects.report(Report.REPLY), _reply(header, ReplyKind.REPLY_KIND_DELTA)),
        (subjects.report(Report.REPLY), _reply(header, ReplyKind.REPLY_KIND_SEGMENT)),
        (subjects.report(Report.REPLY), _reply(header, ReplyKind.REPLY_KIND_END)),
    ]
    if not of_attempts_only:
        speech = Speech(header=header, event=SpeechEvent.SPEECH_EVENT_SPEECH, sample=1)
        words = Transcript(header=header, words=[Word(text=SECRET)], final=True)
        frames += [(subjects.report(Report.SPEECH), speech), (subjects.report(Report.TRANSCRIPT), words)]
        for stage in (Stage.STAGE_TTS, Stage.STAGE_UNSPECIFIED, 77):
            fault = Fault(header=header, code="made-up", words=SECRET)
            # As another version might name one.
            fault.stage = stage  # pyright: ignore[reportAttributeAccessIssue]
            frames.append((subjects.report(Report.FAULT), fault))
    for subject, frame in frames:
        await intruder.send(subject, encode(frame))
    await drops_reach(http, before + len(frames))
    await is_answered_in_text(caller)
    said = json.dumps([message.data for message in caller.recording.messages if message.time_s > before_s])
    assert SECRET not in said
    assert not caller.recording.of_type("error", after_s=before_s)


async def test_values_of_another_version_are_tolerated(
    caller: Caller, intruder: Intruder, folder: Path, speech: EncodedSpeech
) -> None:
    header = Header(term=1, epoch=1)
    unknown_field = bytes([0xFA, 0x3F, 0x01, 0x00])  # field 1023, one byte
    event = Speech(header=header, sample=1)
    event.event = 99  # pyright: ignore[reportAttributeAccessIssue]
    await intruder.send(intruder.subjects.report(Report.SPEECH), encode(event) + unknown_field)
    reply = _reply(Header(term=1, epoch=1, turn=1, attempt=1), ReplyKind.REPLY_KIND_END)
    reply.kind, reply.reason = 99, 99  # pyright: ignore[reportAttributeAccessIssue]
    await intruder.send(intruder.subjects.report(Report.REPLY), encode(reply) + unknown_field)
    await is_answered_aloud(caller, speech)
    assert "a handler of frames failed" not in (folder / f"{GATEWAY}.log").read_text()


def _reply(header: Header, kind: ReplyKind) -> Reply:
    return Reply(header=header, kind=kind, text=SECRET, spoken=SECRET, reason=EndReason.END_REASON_STOP, segments=1)
