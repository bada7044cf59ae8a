"""Drives one real worker over a real broker as a conductor would: lease, state, frames in; frames out."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Final, TypeVar

from google.protobuf.message import Message
from nats.aio.msg import Msg

from natter_common.service import Service
from natter_common.settings import WorkerSettings
from natter_common.worker import StageDefinition, Worker
from natter_proto import (
    MAX_REPLAY_BYTES,
    MIC_FRAME_SAMPLES,
    MIC_RATE_HZ,
    Ask,
    AskMic,
    AskMicAnswer,
    Attempt,
    Audio,
    Beat,
    Control,
    Fault,
    Finalize,
    Header,
    Held,
    Lease,
    LeaseClass,
    Mic,
    Playout,
    Release,
    Reply,
    Report,
    Speech,
    State,
    Tool,
    Transcript,
    Turn,
    Voice,
    WorkerAnswer,
    WorkerRequest,
    decode,
    last_token,
    new_id,
    pcm_audio,
)
from natter_testing.services import open_service

FrameT = TypeVar("FrameT", bound=Message)
_KINDS: Final = {
    Report.SPEECH: Speech,
    Report.TRANSCRIPT: Transcript,
    Report.REPLY: Reply,
    Report.TOOL: Tool,
    Report.FAULT: Fault,
}
_ANSWER_TIMEOUT_S: Final = 5.0


class StageHarness:
    """The conductor's side of one lease. Everything that the worker publishes for the session is kept in `received`."""

    def __init__(self, service: Service, worker: Worker, worker_id: str, session: str) -> None:
        self.session: Final = session
        self.worker: Final = worker
        self.received: list[Message] = []
        self.beats: list[Beat] = []
        self.mic_ring: list[Audio] = []
        """What `ask.mic` is answered from: every frame that `send_mic` made, those marked lost too."""
        self._service = service
        self._worker_id = worker_id
        self._subjects = service.subjects.session(session)
        self._changed = asyncio.Condition()
        self._state_number = 0
        self._next_sample = 0

    async def listen(self) -> None:
        link = self._service.link
        await link.subscribe(self._subjects.reports, self._on_report)
        await link.subscribe(self._subjects.voice, self._on_voice)
        await link.subscribe(self._subjects.ask(Ask.MIC), self._on_ask_mic)
        await link.subscribe(self._service.subjects.beat(self._service.process_id), self._on_beat)
        await link.barrier()

    async def lease(self, lease: Lease) -> WorkerAnswer:
        """Confirm `lease` with the worker; session and gateway are filled in."""
        lease.session = self.session
        lease.gateway = self._service.process_id
        return await self.ask(WorkerRequest(lease=lease))

    async def release(self, lease: Lease) -> WorkerAnswer:
        release = Release(session=lease.session, stage=lease.stage, term=lease.term, epoch=lease.epoch)
        return await self.ask(WorkerRequest(release=release))

    async def ask(self, request: WorkerRequest) -> WorkerAnswer:
        subject = self._service.subjects.worker(self._worker_id)
        return await self._service.link.request(subject, request, WorkerAnswer, _ANSWER_TIMEOUT_S)

    async def beat(self, held: list[Held]) -> None:
        """Send the worker a gateway's beat."""
        beat = Beat(sender=self._service.process_id, held=held)
        await self._service.link.publish(self._service.subjects.beat(self._worker_id), beat)

    async def send_mic(self, pcm: bytes, *, lost: bool = False, muted: bool = False) -> None:
        """Send 16 kHz s16le as 20 ms frames, numbered on. `lost`: numbered and kept for replay, but not sent."""
        frame_bytes = MIC_FRAME_SAMPLES * 2
        for start in range(0, len(pcm) - frame_bytes + 1, frame_bytes):
            audio = pcm_audio(pcm[start : start + frame_bytes], MIC_RATE_HZ, self._next_sample)
            audio.muted = muted
            self._next_sample += MIC_FRAME_SAMPLES
            self.mic_ring.append(audio)
            if not lost:
                await self._service.link.publish(self._subjects.mic, Mic(header=self.header(), audio=audio))

    async def send_raw_mic(self, payload: bytes) -> None:
        """Put any bytes on the mic subject."""
        await self._service.link.publish_raw(self._subjects.mic, payload)

    @property
    def next_sample(self) -> int:
        """The first sample that was not sent yet."""
        return self._next_sample

    async def send_state(self, attempts: list[Attempt] | None = None, **fields: object) -> None:
        """Publish the next state; `fields` are those of `State` (speaking, speech_from_sample, …)."""
        self._state_number += 1
        state = State(header=self.header(), number=self._state_number, attempts=attempts or [], **fields)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        await self._service.link.publish(self._subjects.control(Control.STATE), state)

    async def send_turn(self, turn: Turn) -> None:
        await self._service.link.publish(self._subjects.control(Control.TURN), turn)

    async def send_finalize(self, finalize_id: int, through_sample: int) -> None:
        frame = Finalize(header=self.header(), finalize_id=finalize_id, through_sample=through_sample)
        await self._service.link.publish(self._subjects.control(Control.FINALIZE), frame)

    async def send_playout(self, playout: Playout) -> None:
        await self._service.link.publish(self._subjects.control(Control.PLAYOUT), playout)

    async def send_reply(self, reply: Reply) -> None:
        """Publish as an llm worker would (for tts)."""
        await self._service.link.publish(self._subjects.report(Report.REPLY), reply)

    def header(self, turn: int = 0, attempt: int = 0, segment: int = 0) -> Header:
        return Header(
            session=self.session, term=1, epoch=1, turn=turn, attempt=attempt, segment=segment, producer="conductor"
        )

    def of(self, kind: type[FrameT]) -> list[FrameT]:
        """The frames of one kind received so far."""
        return [frame for frame in self.received if isinstance(frame, kind)]

    async def wait_for(
        self, kind: type[FrameT], matches: Callable[[FrameT], bool] = lambda _frame: True, timeout_s: float = 20.0
    ) -> FrameT:
        """The first frame of `kind` that matches, received already or to come."""
        async with asyncio.timeout(timeout_s), self._changed:
            while True:
                found = next((frame for frame in self.of(kind) if matches(frame)), None)
                if found is not None:
                    return found
                await self._changed.wait()

    async def wait_until(self, condition: Callable[[], bool], timeout_s: float = 20.0) -> None:
        """Wait for a condition over what was received (frames and beats)."""
        async with asyncio.timeout(timeout_s), self._changed:
            await self._changed.wait_for(condition)

    async def _keep(self, frame: Message) -> None:
        async with self._changed:
            self.received.append(frame)
            self._changed.notify_all()

    async def _on_report(self, message: Msg) -> None:
        kind = _KINDS.get(Report(last_token(message.subject)))
        if kind is not None:
            await self._keep(decode(kind, message.data))

    async def _on_voice(self, message: Msg) -> None:
        await self._keep(decode(Voice, message.data))

    async def _on_beat(self, message: Msg) -> None:
        async with self._changed:
            self.beats.append(decode(Beat, message.data))
            self._changed.notify_all()

    async def _on_ask_mic(self, message: Msg) -> None:
        ask = decode(AskMic, message.data)
        audio = [
            piece
            for piece in self.mic_ring
            if piece.first_sample >= ask.from_sample and piece.first_sample + piece.sample_count <= ask.to_sample
        ]
        answer = AskMicAnswer(audio=audio, next_sample=self._next_sample)
        await self._service.link.respond(message, answer, MAX_REPLAY_BYTES)


@asynccontextmanager
async def stage_under_test(
    definition: StageDefinition, nats_url: str, realm: str, settings: WorkerSettings | None = None
) -> AsyncGenerator[StageHarness]:
    """Run a worker for `definition` in this process and give the conductor's side of a session on it."""
    settings = settings or WorkerSettings(nats_url=nats_url, realm=realm, drain_s=0)
    async with (
        open_service("stage", nats_url, realm) as service,
        open_service("conductor", nats_url, realm) as conductor,
        asyncio.TaskGroup() as tasks,
    ):
        worker = Worker(service, definition, settings)
        serving = tasks.create_task(worker.serve(), name="worker")
        harness = StageHarness(conductor, worker, service.process_id, new_id())
        await harness.listen()
        await _until_listening(harness)
        yield harness
        service.stopping.set()
        await serving


async def _until_listening(harness: StageHarness) -> None:
    async with asyncio.timeout(_ANSWER_TIMEOUT_S):
        while True:
            try:
                await harness.ask(WorkerRequest(ping={}))
            except ConnectionError:
                await asyncio.sleep(0.01)
            else:
                return


def new_lease(stage: int, provider: str, settings: str = "{}", epoch: int = 1) -> Lease:
    """A lease to hand to `StageHarness.lease`."""
    return Lease(
        realm="test",
        stage=stage,  # pyright: ignore[reportArgumentType]
        term=1,
        epoch=epoch,
        lease_class=LeaseClass.LEASE_CLASS_NEW,
        provider=provider,
        settings=settings,
        record="none",
    )
