"""What a stage's session sends: frames with their headers filled in."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Final

from natter_common.link import NatsLink
from natter_common.logs import Log
from natter_common.metrics import Metrics
from natter_common.worker.sent import SentFrame, SentFrames
from natter_common.worker.slowness import Slowness
from natter_proto import (
    MAX_REPLAY_BYTES,
    Ask,
    AskMic,
    AskMicAnswer,
    Audio,
    Fault,
    Header,
    Lease,
    RealmSubjects,
    Reply,
    Report,
    Speech,
    Tool,
    Transcript,
    Voice,
    last_token,
)

_ASK_MIC_TIMEOUT_S: Final = 0.5


class Outlet:
    """One lease's way out: fills each frame's header (session, term, epoch, producer, number) and sends it."""

    def __init__(
        self,
        link: NatsLink,
        realm: RealmSubjects,
        lease: Lease,
        producer: str,
        metrics: Metrics,
        log: Log,
        on_fault: Callable[[str, str], None],
        slowness: Slowness,
    ) -> None:
        """`on_fault` is told the provider and the code of each fault that goes out."""
        self.metrics: Final = metrics
        self.log: Final = log
        """Bound to the session; bind turn and trace id where they are known."""
        self._link = link
        self._realm = realm
        self._subjects = subjects = realm.session(lease.session)
        self._on_fault = on_fault
        self._slowness = slowness
        self._lease = lease
        self._producer = producer
        self._loop = asyncio.get_running_loop()
        self._sent = SentFrames()
        self._reports: Final = {report: subjects.report(report) for report in Report}

    @property
    def sent(self) -> Mapping[str, int]:
        """The number of the newest frame on each subject, by the subject's last token."""
        return self._sent.newest

    async def repeat(self, have: Mapping[str, int]) -> bool:
        """Send again what somebody does not have; False when not all of it is kept any more."""
        missing, complete = self._sent.since(have)
        for frame in missing:
            await self._link.publish_raw(frame.subject, frame.payload)
        return complete

    def took(self, seconds: float, limit_s: float) -> None:
        """A piece of work that a caller waits for took so long; at `limit_s` they notice."""
        self._slowness.note(seconds, limit_s, self._loop.time())

    async def speech(self, frame: Speech) -> None:
        await self._send(self._reports[Report.SPEECH], frame)

    async def transcript(self, frame: Transcript) -> None:
        await self._send(self._reports[Report.TRANSCRIPT], frame)

    async def reply(self, frame: Reply) -> None:
        """The caller sets header.turn, .attempt and .segment."""
        await self._send(self._reports[Report.REPLY], frame)

    async def fault(self, frame: Fault) -> None:
        self._on_fault(frame.provider, frame.code)
        await self._send(self._reports[Report.FAULT], frame)

    async def voice(self, frame: Voice) -> None:
        """The caller sets header.turn, .attempt and .segment. Never dropped while the link is up."""
        await self._send(self._subjects.voice, frame)

    async def tool(self, frame: Tool) -> None:
        """What became of a tool's call. The caller sets header.turn and .attempt."""
        await self._send(self._reports[Report.TOOL], frame)

    async def ask_tool(self, name: str, request: Tool, timeout_s: float) -> Tool:
        """Have a tool run that somebody serves over NATS; raises `NoAnswerError` or `LinkDownError`."""
        request.header.MergeFrom(self._header(0))
        return await self._link.request(self._realm.tool(name), request, Tool, timeout_s)

    async def ask_mic(self, from_sample: int, to_sample: int) -> list[Audio]:
        """Samples that were missed, as far as the gateway still has them; raises `NoAnswerError` or `LinkDownError`."""
        request = AskMic(header=self._header(0), from_sample=from_sample, to_sample=to_sample)
        answer = await self._link.request(
            self._subjects.ask(Ask.MIC), request, AskMicAnswer, _ASK_MIC_TIMEOUT_S, MAX_REPLAY_BYTES
        )
        return list(answer.audio)

    async def _send(self, subject: str, frame: Speech | Transcript | Reply | Tool | Fault | Voice) -> None:
        kind = last_token(subject)
        number = self._sent.next_number(kind)
        frame.header.MergeFrom(self._header(number))
        payload = await self._link.publish(subject, frame)
        if payload is not None:
            self._sent.add(SentFrame(self._loop.time(), kind, number, subject, payload))

    def _header(self, number: int) -> Header:
        return Header(
            session=self._lease.session,
            term=self._lease.term,
            epoch=self._lease.epoch,
            producer=self._producer,
            number=number,
        )
