"""A worker over a real broker: leases, beats, frames in order, replay of what was missed."""

import asyncio

import pytest

from natter_common.link import LinkDownError, NatsLink
from natter_common.mic import MicSpan
from natter_common.settings import WorkerSettings
from natter_common.worker import BadLeaseError, Input, Outlet, Reached, StageDefinition, StageSession, Worker
from natter_proto import (
    Attempt,
    Beat,
    Fault,
    Finalize,
    Header,
    Held,
    Lease,
    LeaseEpoch,
    Offer,
    OfferAnswer,
    Repeat,
    Reply,
    ReplyKind,
    Speech,
    Stage,
    WorkerRequest,
)
from natter_testing.services import open_service
from natter_testing.stage_harness import new_lease, stage_under_test

open_sessions: list["EchoSession"] = []
"""Those that were made and not closed."""


class EchoSession(StageSession):
    """Says each span and each living reply back as a speech report."""

    def __init__(self, lease: Lease, outlet: Outlet) -> None:
        if lease.settings == "bad":
            raise BadLeaseError("bad_settings", "these settings can't be")
        self.outlet = outlet
        self._broken = asyncio.Event()
        self._sample = 0
        open_sessions.append(self)

    async def on_mic(self, span: MicSpan) -> None:
        self._sample = span.end_sample
        await self.outlet.speech(Speech(sample=span.first_sample, through_sample=span.end_sample))

    async def on_reply(self, reply: Reply) -> None:
        if reply.text == "break":
            self._broken.set()
        await self.outlet.speech(Speech(sample=reply.header.segment))

    async def on_finalize(self, finalize: Finalize) -> None:
        self.outlet.took(3.0, 1.0)
        await self.outlet.speech(Speech(through_sample=finalize.finalize_id))

    async def run(self) -> None:
        await self._broken.wait()
        raise RuntimeError("broken on purpose")

    async def close(self) -> None:
        open_sessions.remove(self)

    def reached(self) -> Reached:
        return Reached(sample=self._sample)


ECHO = StageDefinition(
    Stage.STAGE_TTS, Input.MIC | Input.CONTROLS | Input.REPLIES, {"echo": "Echo, for tests"}, EchoSession
)


def echo_lease(settings: str = "{}", epoch: int = 1) -> Lease:
    return new_lease(Stage.STAGE_TTS, "echo", settings, epoch)


def segment_of(header: Header, epoch: int, producer: str) -> Reply:
    header.epoch, header.producer = epoch, producer
    return Reply(header=header, kind=ReplyKind.REPLY_KIND_SEGMENT)


async def test_lease_is_taken_once_and_a_repeated_confirm_gets_the_same_answer(nats_url: str, realm: str) -> None:
    async with stage_under_test(ECHO, nats_url, realm) as stage:
        first = await stage.lease(echo_lease())
        again = await stage.lease(echo_lease())
        assert first.ok
        assert again == first
        assert stage.worker.sessions == 1


async def test_a_worker_is_ready_once_offers_reach_it(nats_url: str, realm: str) -> None:
    async with open_service("a", nats_url, realm) as service:
        worker = Worker(service, ECHO, WorkerSettings(nats_url=nats_url, realm=realm, drain_s=0))
        assert worker.health().not_ready == ("starting",)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(worker.serve(), name="worker")
            while worker.health().not_ready:
                await asyncio.sleep(0.01)
            offer = Offer(session="s1", provider="echo")
            answer = await service.link.request(
                service.subjects.offer(Stage.STAGE_TTS, "echo"), offer, OfferAnswer, 5.0
            )
            assert answer.room
            service.stopping.set()
        assert worker.health().not_ready == ("draining",)


async def test_settings_that_can_not_be_are_refused_and_leave_nothing(nats_url: str, realm: str) -> None:
    async with stage_under_test(ECHO, nats_url, realm) as stage:
        answer = await stage.lease(echo_lease("bad"))
        assert (answer.ok, answer.code) == (False, "bad_settings")
        assert stage.worker.sessions == 0


async def test_a_session_that_ends_before_it_began_holds_nothing(nats_url: str, realm: str) -> None:
    async with stage_under_test(ECHO, nats_url, realm) as stage:
        lease = echo_lease()
        answers = await asyncio.gather(stage.lease(lease), stage.release(lease))
        assert [answer.ok for answer in answers] == [True, True]
        async with asyncio.timeout(10):
            while open_sessions:
                await stage.ask(WorkerRequest(ping={}))


async def test_a_lease_that_can_not_be_listened_for_leaves_nothing(
    nats_url: str, realm: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = asyncio.Event()

    async def frozen(_link: NatsLink, _timeout_s: float = 2.0) -> None:
        asked.set()
        raise LinkDownError("NATS did not answer")

    async with stage_under_test(ECHO, nats_url, realm) as stage:
        monkeypatch.setattr(NatsLink, "barrier", frozen)
        asking = asyncio.create_task(stage.lease(echo_lease()), name="asking")
        await asked.wait()
        # Requests are answered one after the other.
        await stage.ask(WorkerRequest(ping={}))
        asking.cancel()
        assert (stage.worker.sessions, open_sessions) == (0, [])


async def test_lost_mic_frames_are_pulled_and_joined_by_number(nats_url: str, realm: str) -> None:
    async with stage_under_test(ECHO, nats_url, realm) as stage:
        await stage.lease(echo_lease())
        frame = bytes(640)
        await stage.send_mic(frame * 3)
        await stage.send_mic(frame * 5, lost=True)
        await stage.send_mic(frame * 2)
        await stage.wait_until(lambda: len(stage.of(Speech)) == 10)
        assert [(said.sample, said.through_sample) for said in stage.of(Speech)] == [
            (n * 320, n * 320 + 320) for n in range(10)
        ]


async def test_beats_tell_what_is_held_and_how_far_it_is(nats_url: str, realm: str) -> None:
    async with stage_under_test(ECHO, nats_url, realm) as stage:
        await stage.lease(echo_lease())
        await stage.send_mic(bytes(640) * 4)

        def complete(beat: Beat) -> bool:
            return [(held.session, held.sample) for held in beat.held] == [(stage.session, 1280)] and beat.load > 0

        await stage.wait_until(lambda: any(complete(beat) for beat in stage.beats))


async def test_a_lease_that_the_gateway_does_not_know_is_freed(nats_url: str, realm: str) -> None:
    async with stage_under_test(ECHO, nats_url, realm) as stage:
        lease = echo_lease()
        await stage.lease(lease)
        # The gateway lists it: kept, for as long as it is listed.
        await stage.beat([Held(session=stage.session, stage=Stage.STAGE_TTS, term=1, epoch=1)])
        assert stage.worker.sessions == 1
        async with asyncio.timeout(10):
            while stage.worker.sessions:
                await stage.beat([])
                await stage.ask(WorkerRequest(ping={}))


async def test_frames_ahead_of_their_state_wait_and_dead_ones_are_dropped(nats_url: str, realm: str) -> None:
    async with stage_under_test(ECHO, nats_url, realm) as stage:
        await stage.lease(echo_lease())
        await stage.send_state([Attempt(turn=1, attempt=1, committed=True)])
        await stage.send_reply(Reply(header=stage.header(1, 1, 1), kind=ReplyKind.REPLY_KIND_SEGMENT))
        await stage.wait_until(lambda: len(stage.of(Speech)) == 1)
        await stage.send_reply(Reply(header=stage.header(2, 1, 7), kind=ReplyKind.REPLY_KIND_SEGMENT))
        await stage.send_state([Attempt(turn=2, attempt=1, committed=True)])
        await stage.wait_until(lambda: len(stage.of(Speech)) == 2)
        await stage.send_reply(Reply(header=stage.header(1, 1, 2), kind=ReplyKind.REPLY_KIND_SEGMENT))
        await stage.send_reply(Reply(header=stage.header(2, 1, 8), kind=ReplyKind.REPLY_KIND_SEGMENT))
        await stage.wait_until(lambda: len(stage.of(Speech)) == 3)
        assert [said.sample for said in stage.of(Speech)] == [1, 7, 8]
        (session,) = open_sessions
        dropped = session.outlet.metrics.exposition()[0].decode()
        assert 'natter_frames_dropped_total{kind="reply",reason="dead_attempt"} 1.0' in dropped


async def test_text_of_a_model_that_does_not_serve_the_session_is_dropped(nats_url: str, realm: str) -> None:
    async with stage_under_test(ECHO, nats_url, realm) as stage:
        await stage.lease(echo_lease())
        serving = LeaseEpoch(stage=Stage.STAGE_LLM, epoch=2, worker="w")
        await stage.send_state([Attempt(turn=1, attempt=1, committed=True)], leases=[serving])
        for segment, epoch, producer in ((1, 1, "w0"), (2, 99, "w9"), (3, 0, "x"), (4, 2, "w"), (5, 0, "conductor")):
            await stage.send_reply(segment_of(stage.header(1, 1, segment), epoch, producer))
        await stage.wait_until(lambda: len(stage.of(Speech)) == 2)
        assert [said.sample for said in stage.of(Speech)] == [4, 5]


async def test_while_no_model_serves_the_session_only_the_conductors_text_counts(nats_url: str, realm: str) -> None:
    async with stage_under_test(ECHO, nats_url, realm) as stage:
        await stage.lease(echo_lease())
        living = [Attempt(turn=1, attempt=1, committed=True)]
        await stage.send_state(living, leases=[LeaseEpoch(stage=Stage.STAGE_LLM, epoch=1, worker="w")])
        await stage.send_state(living)
        # The state's reader is another one than the text's.
        await stage.ask(WorkerRequest(ping={}))
        for segment, epoch, producer in ((1, 1, "w"), (2, 0, "x"), (3, 0, "conductor")):
            await stage.send_reply(segment_of(stage.header(1, 1, segment), epoch, producer))
        await stage.wait_until(lambda: len(stage.of(Speech)) == 1)
        assert [said.sample for said in stage.of(Speech)] == [3]


async def test_text_ahead_of_its_state_counts_if_that_names_its_model(nats_url: str, realm: str) -> None:
    async with stage_under_test(ECHO, nats_url, realm) as stage:
        await stage.lease(echo_lease())
        await stage.send_state([], leases=[LeaseEpoch(stage=Stage.STAGE_LLM, epoch=1, worker="w")])
        for segment, epoch, producer in ((1, 1, "w"), (2, 2, "v"), (3, 0, "conductor")):
            await stage.send_reply(segment_of(stage.header(1, 1, segment), epoch, producer))
        await stage.ask(WorkerRequest(ping={}))
        serving = LeaseEpoch(stage=Stage.STAGE_LLM, epoch=2, worker="v")
        await stage.send_state([Attempt(turn=1, attempt=1, committed=True)], leases=[serving])
        await stage.wait_until(lambda: len(stage.of(Speech)) == 2)
        assert [said.sample for said in stage.of(Speech)] == [2, 3]


async def test_a_session_that_breaks_says_a_fault_and_frees_its_lease(nats_url: str, realm: str) -> None:
    async with stage_under_test(ECHO, nats_url, realm) as stage:
        await stage.lease(echo_lease())
        await stage.send_state([Attempt(turn=1, attempt=1, committed=True)])
        await stage.send_reply(Reply(header=stage.header(1, 1, 1), kind=ReplyKind.REPLY_KIND_SEGMENT, text="break"))
        fault = await stage.wait_for(Fault)
        assert (fault.code, fault.provider) == ("internal", "echo")
        async with asyncio.timeout(10):
            while stage.worker.sessions:
                await stage.ask(WorkerRequest(ping={}))


async def test_a_full_worker_refuses_and_a_newer_epoch_replaces(nats_url: str, realm: str) -> None:
    settings = WorkerSettings(nats_url=nats_url, realm=realm, capacity=1, drain_s=0)
    async with stage_under_test(ECHO, nats_url, realm, settings) as stage:
        await stage.lease(echo_lease())
        assert (await stage.lease(echo_lease(epoch=2))).ok
        assert stage.worker.sessions == 1
        assert (await stage.lease(echo_lease(epoch=1))).code == "stale"


async def test_a_payload_that_is_no_frame_is_dropped_and_harms_nobody(nats_url: str, realm: str) -> None:
    async with stage_under_test(ECHO, nats_url, realm) as stage:
        await stage.lease(echo_lease())
        await stage.send_raw_mic(b"\xff\xff\xff no frame")
        await stage.send_mic(bytes(640))
        await stage.wait_for(Speech)


async def test_frames_that_did_not_come_are_sent_again_as_they_were(nats_url: str, realm: str) -> None:
    async with stage_under_test(ECHO, nats_url, realm) as stage:
        lease = echo_lease()
        await stage.lease(lease)
        await stage.send_mic(bytes(640) * 3)
        await stage.wait_until(lambda: len(stage.of(Speech)) == 3)
        await stage.wait_until(lambda: any(held.sent["speech"] == 3 for beat in stage.beats for held in beat.held))
        header = Header(session=lease.session, term=lease.term, epoch=lease.epoch)
        answer = await stage.ask(WorkerRequest(repeat=Repeat(header=header, have={"speech": 1})))
        assert answer.ok
        await stage.wait_until(lambda: len(stage.of(Speech)) == 5)
        first, second, third, *again = stage.of(Speech)
        assert [first.header.number, second.header.number, third.header.number] == [1, 2, 3]
        assert again == [second, third]


async def test_who_does_not_hold_a_lease_repeats_nothing_of_it(nats_url: str, realm: str) -> None:
    async with stage_under_test(ECHO, nats_url, realm) as stage:
        answer = await stage.ask(WorkerRequest(repeat=Repeat(header=Header(session="s", term=1, epoch=1))))
        assert (answer.ok, answer.code) == (False, "not_held")


async def test_a_request_for_a_final_that_comes_twice_is_answered_once(nats_url: str, realm: str) -> None:
    async with stage_under_test(ECHO, nats_url, realm) as stage:
        await stage.lease(echo_lease())
        for finalize_id in (1, 2, 1, 2, 3):
            await stage.send_finalize(finalize_id, 16_000)
        await stage.wait_for(Speech, lambda said: said.through_sample == 3)
        assert [said.through_sample for said in stage.of(Speech)] == [1, 2, 3]


async def test_a_slow_worker_says_that_it_is_busy(nats_url: str, realm: str) -> None:
    async with stage_under_test(ECHO, nats_url, realm) as stage:
        await stage.lease(echo_lease())
        await stage.wait_until(lambda: any(0.0 < beat.load < 0.5 for beat in stage.beats))
        await stage.send_finalize(1, 16_000)
        await stage.wait_until(lambda: stage.beats[-1].load > 0.9)
