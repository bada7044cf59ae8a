"""One full example of every frame on the wire; `python -m natter_testing.frames FOLDER` records their bytes.

Recorded bytes are never changed: they are what an older service may still send. A new field gets a new example file.
"""

import sys
from pathlib import Path

from google.protobuf.message import Message as Frame

from natter_proto import (
    AskMic,
    AskMicAnswer,
    AskSignal,
    AskSignalAnswer,
    Attempt,
    Audio,
    Beat,
    CancelTool,
    Codec,
    EndReason,
    Fault,
    Finalize,
    Header,
    Held,
    Lease,
    LeaseClass,
    LeaseEpoch,
    LogBatch,
    LogEntry,
    Message,
    Mic,
    Modality,
    Offer,
    OfferAnswer,
    Playout,
    Recognizer,
    Release,
    Repeat,
    Reply,
    ReplyKind,
    Role,
    Segment,
    Speech,
    SpeechEnds,
    SpeechEvent,
    Stage,
    State,
    Summarize,
    Tool,
    ToolCall,
    ToolOutcome,
    ToolResult,
    Transcript,
    Turn,
    TurnSign,
    Usage,
    Voice,
    Word,
    WorkerAnswer,
    WorkerRequest,
)

HEADER = Header(
    session="5e55",
    term=1,
    epoch=2,
    turn=3,
    attempt=4,
    segment=5,
    producer="w0",
    number=6,
    traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
)
AUDIO = Audio(
    codec=Codec.CODEC_PCM_S16LE,
    rate_hz=16_000,
    channels=1,
    first_sample=320,
    sample_count=2,
    concealed=True,
    muted=True,
    discontinuity=True,
    end=True,
    data=b"\x01\x02\x03\x04",
)
WORD = Word(text="Hello,", from_sample=10, to_sample=20, confidence=0.5, estimated=True)
CALL = ToolCall(id="3.1.0", name="weather", arguments='{"city":"Oslo"}')
RESULT = ToolResult(id="3.1.0", name="weather", outcome=ToolOutcome.TOOL_OUTCOME_RESULT, result="rain")
LEASE = Lease(
    realm="main",
    session="5e55",
    stage=Stage.STAGE_TTS,
    term=1,
    epoch=2,
    lease_class=LeaseClass.LEASE_CLASS_TAKEOVER,
    provider="local",
    settings="{}",
    credential="main",
    record="none",
    gateway="g0",
    from_sample=320,
)

FRAMES: dict[str, Frame] = {
    "mic": Mic(header=HEADER, audio=AUDIO),
    "voice": Voice(header=HEADER, audio=AUDIO, words=[WORD], total_samples=480),
    "ask_mic": AskMic(header=HEADER, from_sample=1, to_sample=2),
    "ask_mic_answer": AskMicAnswer(audio=[AUDIO], next_sample=3),
    "ask_signal": AskSignal(header=HEADER, secret="s", method="POST", body="{}"),
    "ask_signal_answer": AskSignalAnswer(status=200, body="{}"),
    "state": State(
        header=HEADER,
        number=7,
        attempts=[
            Attempt(
                turn=3,
                attempt=4,
                committed=True,
                segments_kept=1,
                segments_granted=2,
                modality=Modality.MODALITY_TEXT,
            )
        ],
        leases=[LeaseEpoch(stage=Stage.STAGE_STT, epoch=2, worker="w0")],
        speaking=True,
        speech_from_sample=100,
        speech_to_sample=200,
        ended=True,
    ),
    "turn": Turn(
        header=HEADER,
        context=[Message(role=Role.ROLE_TOOL, content="rain", tool_calls=[CALL], tool_call_id="3.1.0")],
        text="hello",
        reply_so_far=[Segment(segment=1, text="Hi!", spoken="Hi!")],
        tool_results=[RESULT],
        modality=Modality.MODALITY_VOICE,
        verbatim=True,
    ),
    "finalize": Finalize(header=HEADER, finalize_id=8, through_sample=9),
    "playout": Playout(header=HEADER, sample=10, queued_ms=11, held=True),
    "speech": Speech(
        header=HEADER,
        event=SpeechEvent.SPEECH_EVENT_PAUSE,
        sample=12,
        probability=0.25,
        through_sample=13,
    ),
    "transcript": Transcript(
        header=HEADER,
        words=[WORD],
        final=True,
        through_sample=14,
        language="en",
        speaker="0",
        revision=15,
        finalize_id=16,
        provider="local",
        took_ms=17.0,
    ),
    "reply": Reply(
        header=HEADER,
        kind=ReplyKind.REPLY_KIND_END,
        text="t",
        spoken="s",
        tool_calls=[CALL],
        reason=EndReason.END_REASON_STOP,
        usage=Usage(prompt_tokens=1, completion_tokens=2, cached_tokens=3, estimated=True),
        segments=18,
        took_ms=19.0,
        provider="local",
    ),
    "tool": Tool(header=HEADER, call=CALL, result=RESULT, read_only=True, idempotent=True),
    "fault": Fault(
        header=HEADER, code="quota", stage=Stage.STAGE_LLM, provider="openai", retryable=True, words="No quota."
    ),
    "lease": WorkerRequest(lease=LEASE),
    "release": WorkerRequest(release=Release(session="5e55", stage=Stage.STAGE_TTS, term=1, epoch=2)),
    "worker_answer": WorkerAnswer(ok=True, code="full", words="full", detail="Hibari"),
    "offer": Offer(session="5e55", stage=Stage.STAGE_VAD, provider="local", lease_class=LeaseClass.LEASE_CLASS_NEW),
    "offer_answer": OfferAnswer(worker="w0", load=0.5, room=True, detail="Silero"),
    "beat": Beat(
        sender="w0",
        number=20,
        held=[Held(session="5e55", stage=Stage.STAGE_TTS, term=1, epoch=2, sample=3, turn=4, attempt=5, segment=6)],
        draining=True,
    ),
    "log_batch": LogBatch(
        header=HEADER,
        machine_version="1",
        settings="{}",
        entries=[LogEntry(number=1, mic_sample=2, monotonic_us=3, kind="onset", content=b"\x01")],
    ),
}

# Fields that came later: the earlier examples stay as they were recorded.
_STATE_2 = State.FromString(FRAMES["state"].SerializeToString())
_STATE_2.attempts[0].segments_voiced = 1
_TURN_2 = Turn.FromString(FRAMES["turn"].SerializeToString())
_TURN_2.MergeFrom(
    Turn(
        step=1,
        steps=[Message(role=Role.ROLE_ASSISTANT, content="Let me look.", tool_calls=[CALL], tool_call_id="3.1.0")],
        segments_kept=2,
    )
)
_TRANSCRIPT_2 = Transcript.FromString(FRAMES["transcript"].SerializeToString())
_TRANSCRIPT_2.sign = TurnSign.TURN_SIGN_EAGER_END
_REPLY_2 = Reply.FromString(FRAMES["reply"].SerializeToString())
_REPLY_2.step = 1
_BEAT_2 = Beat.FromString(FRAMES["beat"].SerializeToString())
_BEAT_2.load = 0.5
_BEAT_3 = Beat.FromString(_BEAT_2.SerializeToString())
_BEAT_3.link_losses = 2
_BEAT_4 = Beat.FromString(_BEAT_3.SerializeToString())
_BEAT_4.held[0].sent["speech"] = 12
FRAMES.update(
    {
        "state_2": _STATE_2,
        "beat_2": _BEAT_2,
        "beat_3": _BEAT_3,
        "beat_4": _BEAT_4,
        "speech_2": Speech(
            header=HEADER,
            event=SpeechEvent.SPEECH_EVENT_ESTIMATE,
            sample=16_000,
            probability=0.75,
            through_sample=17_600,
        ),
        "turn_2": _TURN_2,
        "transcript_2": _TRANSCRIPT_2,
        "reply_2": _REPLY_2,
        "offer_answer_2": OfferAnswer(worker="w0", load=0.5, room=True, detail="Silero", words="full"),
        "worker_answer_2": WorkerAnswer(
            ok=True,
            code="full",
            words="full",
            detail="Hibari",
            text="They spoke of tea.",
            recognizer=Recognizer(speech_ends=SpeechEnds.SPEECH_ENDS_TURNS, final_within_ms=800),
        ),
        "worker_answer_3": WorkerAnswer(
            ok=True,
            code="full",
            words="full",
            detail="Hibari",
            text="They spoke of tea.",
            recognizer=Recognizer(
                speech_ends=SpeechEnds.SPEECH_ENDS_FINALIZE,
                final_within_ms=800,
                early_final=True,
                stable_interims=True,
                final_grace_ms=300,
            ),
        ),
        "repeat": WorkerRequest(repeat=Repeat(header=HEADER, have={"voice": 7})),
        "cancel_tool": WorkerRequest(cancel_tool=CancelTool(header=HEADER, id="3.1.0")),
        "summarize": WorkerRequest(
            summarize=Summarize(
                header=HEADER,
                context=[Message(role=Role.ROLE_USER, content="hello", tool_calls=[CALL], tool_call_id="3.1.0")],
                max_tokens=100,
            )
        ),
    }
)


def record(folder: Path) -> None:
    """Write the bytes of frames that have no recording yet."""
    folder.mkdir(exist_ok=True)
    for name, frame in FRAMES.items():
        file = folder / f"{name}.v1.bin"
        if not file.exists():
            file.write_bytes(frame.SerializeToString(deterministic=True))


if __name__ == "__main__":
    record(Path(sys.argv[1]))
