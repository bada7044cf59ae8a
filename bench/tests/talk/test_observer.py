"""What an observer keeps of voice that two workers made."""

from typing import Any, cast

import numpy as np
from nats.aio.client import Client
from nats.aio.msg import Msg

from natter_bench.talk.observer import Observed, Observer
from natter_proto import Header, RealmSubjects, Reply, ReplyKind, Report, Voice, Word, encode, pcm_audio

SUBJECTS = RealmSubjects("main").session("one")


class Nats:
    """Brings messages to whoever subscribed."""

    def __init__(self) -> None:
        self.callbacks: dict[str, Any] = {}

    async def subscribe(self, subject: str, cb: Any) -> None:
        self.callbacks[subject] = cb

    async def flush(self) -> None:
        pass

    async def bring(self, subscribed: str, subject: str, data: bytes) -> None:
        await self.callbacks[subscribed](Msg(cast("Client", self), subject, data=data))


def voice(epoch: int, level: int, word: str, *, term: int = 1, first_sample: int = 0) -> bytes:
    header = Header(term=term, epoch=epoch, turn=1, attempt=1, segment=1)
    audio = pcm_audio(np.full(480, level, dtype="<i2").tobytes(), 24_000, first_sample)
    return encode(Voice(header=header, audio=audio, words=[Word(text=word, from_sample=first_sample)]))


async def observed(*frames: bytes, texts: tuple[str, ...] = ()) -> Observed:
    nats = Nats()
    observer = Observer(cast("Client", nats), "main")
    await observer.listen("one")
    for frame in frames:
        await nats.bring(SUBJECTS.voice, SUBJECTS.voice, frame)
    for text in texts:
        header = Header(turn=1, attempt=1, segment=1)
        reply = encode(Reply(header=header, kind=ReplyKind.REPLY_KIND_SEGMENT, text=text))
        await nats.bring(SUBJECTS.reports, SUBJECTS.report(Report.REPLY), reply)
    return observer.observed()


async def test_each_worker_has_a_making_of_its_own() -> None:
    seen = await observed(
        voice(1, 10, "Sure,"), voice(1, 11, "no", first_sample=480), voice(2, 20, "problem."), voice(1, 30, "x", term=2)
    )
    makings = seen.of_reply((1, 1))
    assert [(one.lease, one.pcm[0], len(one.pcm)) for one in makings] == [
        ((1, 1), 10, 960),
        ((1, 2), 20, 480),
        ((2, 1), 30, 480),
    ]
    assert [word.text for one in makings for word in one.words] == ["Sure,", "no", "problem.", "x"]


async def test_who_was_replaced_is_not_listened_to_any_more() -> None:
    seen = await observed(voice(1, 10, "Sure,"), voice(2, 20, "problem."), voice(1, 11, "no", first_sample=480))
    assert [len(one.pcm) for one in seen.of_reply((1, 1))] == [480, 480]


async def test_a_text_is_the_one_that_was_written_not_the_rest_of_it() -> None:
    seen = await observed(texts=("Sure, no problem.", "problem."))
    assert seen.texts == {(1, 1, 1): "Sure, no problem."}
