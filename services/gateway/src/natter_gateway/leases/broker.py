"""Finds a worker with room for a stage and confirms the lease: offer, answers, confirm."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from typing import Final

from nats.aio.msg import Msg

from natter_common.link import LinkDownError, NatsLink, NoAnswerError
from natter_common.logs import Log
from natter_gateway.leases.board import HeldLease, WorkerLoad
from natter_proto import (
    BadFrameError,
    BadTokenError,
    Header,
    Lease,
    LeaseClass,
    Offer,
    OfferAnswer,
    RealmSubjects,
    Release,
    Repeat,
    SpeechEnds,
    Stage,
    WorkerAnswer,
    WorkerRequest,
    decode,
    stage_name,
    token,
)

_FIRST_ANSWER_S: Final = 1.0
_FURTHER_ANSWERS_S: Final = 0.1
_CONFIRM_S: Final = 0.1
_SECOND_CONFIRM_S: Final = 1.5
_MAX_ANSWERS: Final = 64


class NoCapacityError(RuntimeError):
    """No worker of a stage has room (or none runs at all)."""

    def __init__(self, stage: Stage, providers: Sequence[str], problem: str | None) -> None:
        super().__init__(
            problem or f"no capacity: no {stage_name(stage)} worker with room for {' or '.join(providers)}"
        )
        self.stage: Final = stage
        self.problem: Final = problem
        """What is wrong with a provider, for people; None when there is just no room."""


class LeaseRefusedError(ValueError):
    """A worker can't serve these settings; its words are for the caller."""


class LeaseBroker:
    """Takes and gives back leases for one gateway."""

    def __init__(self, link: NatsLink, subjects: RealmSubjects, gateway: str, log: Log) -> None:
        self._link = link
        self._subjects = subjects
        self._gateway = gateway
        self._log = log
        self._problems: dict[tuple[Stage, str], str] = {}

    @property
    def settled(self) -> bool:
        """Whether anybody could be asked now, and for so long that who has not gone on yet is not going to."""
        return self._link.settled

    def problem(self, stage: Stage, providers: Sequence[str]) -> str | None:
        """Why none of `providers` can be had, as the workers said last; None when they said nothing."""
        known = (self._problems.get((stage, provider)) for provider in providers)
        return next((words for words in known if words is not None), None)

    async def has_room(self, stage: Stage, providers: Sequence[str]) -> tuple[str, str] | None:
        """The provider that would be taken now, and what it is in words; None without room. Reserves nothing."""
        for provider in providers:
            offer = Offer(stage=stage, provider=provider, lease_class=LeaseClass.LEASE_CLASS_NEW)
            async with aclosing(self._offers(offer)) as answers:
                async for answer in answers:
                    return provider, answer.detail
        return None

    async def take(
        self, lease: Lease, providers: Sequence[str], settings: Callable[[str], str], *, avoid: str = ""
    ) -> HeldLease:
        """Lease a stage from the first worker that confirms. `lease.epoch` is raised for each worker that is tried.

        `settings` gives the lease's settings for a provider, as JSON. The worker `avoid` is asked behind all others.

        Raises `NoCapacityError`, `LinkDownError`; `LeaseRefusedError` when one can't serve these settings and no other
        can be had.
        """
        lease.gateway = self._gateway
        unsure: list[str] = []
        refusal: LeaseRefusedError | None = None
        try:
            for provider in providers:
                lease.provider = provider
                lease.settings = settings(provider)
                try:
                    held = await self._take_from(lease, unsure, avoid)
                except LeaseRefusedError as error:
                    self._log.warning(
                        "lease refused", stage=stage_name(lease.stage), provider=provider, reason=str(error)
                    )
                    refusal = refusal or error
                    lease.epoch += 1
                    continue
                if held is not None:
                    return held
        finally:
            await self._give_back_unsure(lease, unsure)
        if refusal is not None:
            raise refusal
        raise NoCapacityError(lease.stage, providers, self.problem(lease.stage, providers))

    async def _take_from(self, lease: Lease, unsure: list[str], avoid: str) -> HeldLease | None:
        """Try each worker of one provider, those that did not answer in time a second time with more patience."""
        avoided: list[OfferAnswer] = []
        offer = Offer(session=lease.session, stage=lease.stage, provider=lease.provider, lease_class=lease.lease_class)
        async with aclosing(self._offers(offer)) as answers:
            async for answer in answers:
                if answer.worker == avoid:
                    avoided.append(answer)
                    continue
                held = await self._confirm(lease, answer.worker, _CONFIRM_S, unsure, answer.load)
                if held is not None:
                    return held
                lease.epoch += 1
        for answer in avoided:
            held = await self._confirm(lease, answer.worker, _CONFIRM_S, unsure, answer.load)
            if held is not None:
                return held
            lease.epoch += 1
        for worker in list(unsure):
            held = await self._confirm(lease, worker, _SECOND_CONFIRM_S, unsure)
            if held is not None:
                unsure.remove(worker)
                return held
            lease.epoch += 1
        return None

    async def release(self, held: HeldLease) -> None:
        """Give a lease back. Where that gets lost, the beats free it."""
        request = WorkerRequest(
            release=Release(session=held.session, stage=held.stage, term=held.term, epoch=held.epoch)
        )
        await self._link.publish(self._subjects.worker(held.worker), request)

    async def order(self, held: HeldLease, request: WorkerRequest, timeout_s: float) -> WorkerAnswer:
        """Ask the worker of a lease for something; raises `NoAnswerError`, `LinkDownError`, `BadFrameError`."""
        return await self._link.request(self._subjects.worker(held.worker), request, WorkerAnswer, timeout_s)

    async def repeat(self, held: HeldLease, have: Mapping[str, int], timeout_s: float) -> bool | None:
        """Have a worker publish again what is behind `have`. False: it does not have all. None: no answer in time."""
        header = Header(session=held.session, term=held.term, epoch=held.epoch)
        try:
            answer = await self.order(held, WorkerRequest(repeat=Repeat(header=header, have=have)), timeout_s)
        except (NoAnswerError, LinkDownError, BadFrameError):
            return None
        return answer.ok

    async def ping(self, worker: str, timeout_s: float) -> bool | None:
        """True: alive. False: its process is gone. None: no answer in time."""
        try:
            await self._link.request(self._subjects.worker(worker), WorkerRequest(ping={}), WorkerAnswer, timeout_s)
        except NoAnswerError as error:
            return False if error.nobody else None
        except (LinkDownError, BadFrameError):
            return None
        return True

    async def _confirm(
        self, lease: Lease, worker: str, timeout_s: float, unsure: list[str], load: float = 0.0
    ) -> HeldLease | None:
        subject = self._subjects.worker(worker)
        try:
            answer = await self._link.request(subject, WorkerRequest(lease=lease), WorkerAnswer, timeout_s)
        except NoAnswerError as error:
            if not error.nobody and worker not in unsure:
                # It may have taken the lease all the same.
                unsure.append(worker)
            return None
        except BadFrameError:
            return None
        if answer.ok:
            return HeldLease(
                lease.session,
                lease.stage,
                lease.term,
                lease.epoch,
                worker,
                lease.provider,
                answer.detail,
                answer.recognizer.speech_ends == SpeechEnds.SPEECH_ENDS_TURNS,
                answer.recognizer.final_within_ms,
                answer.recognizer.early_final,
                answer.recognizer.stable_interims,
                answer.recognizer.final_grace_ms,
                WorkerLoad(load),
            )
        if answer.code not in ("full", "draining", "stale", "wrong_stage"):
            raise LeaseRefusedError(answer.words or answer.code)
        return None

    async def _give_back_unsure(self, lease: Lease, workers: Sequence[str]) -> None:
        for worker in workers:
            for epoch in range(1, lease.epoch):
                release = Release(session=lease.session, stage=lease.stage, term=lease.term, epoch=epoch)
                await self._link.publish(self._subjects.worker(worker), WorkerRequest(release=release))

    def _note_problem(self, offer: Offer, answer: OfferAnswer) -> None:
        if answer.words:
            self._problems[offer.stage, offer.provider] = answer.words
        else:
            self._problems.pop((offer.stage, offer.provider), None)

    async def _offers(self, offer: Offer) -> AsyncGenerator[OfferAnswer]:
        """Workers with room, in the order of their answers; ends when no more can be expected."""
        loop = asyncio.get_running_loop()
        answers: asyncio.Queue[OfferAnswer | None] = asyncio.Queue(_MAX_ANSWERS)

        async def on_answer(message: Msg) -> None:
            if answers.full():
                return
            if message.headers and message.headers.get("Status") == "503":
                answers.put_nowait(None)
                return
            answer = decode(OfferAnswer, message.data)
            try:
                token(answer.worker)
            except BadTokenError as error:
                raise BadFrameError(str(error)) from error
            answers.put_nowait(answer)

        subject = self._subjects.offer(offer.stage, offer.provider)
        inbox = await self._link.request_many(subject, offer, on_answer)
        deadline = loop.time() + _FIRST_ANSWER_S
        answered = patient = False
        try:
            while True:
                try:
                    async with asyncio.timeout_at(deadline):
                        answer = await answers.get()
                except TimeoutError:
                    if answered:
                        return
                    if not patient and not self._link.settled:
                        # This process itself stood still, or its link did: that says nothing of the workers.
                        patient = True
                        deadline = loop.time() + _FIRST_ANSWER_S
                        continue
                    self._log.warning("nobody answered an offer in time", stage=stage_name(offer.stage))
                    return
                answered = True
                deadline = min(deadline, loop.time() + _FURTHER_ANSWERS_S)
                if answer is None:
                    # Nobody listens: what somebody said of it once holds no more.
                    self._problems.pop((offer.stage, offer.provider), None)
                    return
                self._note_problem(offer, answer)
                if answer.room:
                    yield answer
                    # Confirming took its time: what came meanwhile still counts.
                    deadline = loop.time() + _FURTHER_ANSWERS_S
        finally:
            await self._link.unsubscribe(inbox)
