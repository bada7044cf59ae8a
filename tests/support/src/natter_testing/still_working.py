"""Whether a call and a gateway go on as before, and what a refusal has to look like."""

from typing import Any, Final, cast

import httpx
from prometheus_client.parser import text_string_to_metric_families

from natter_bench.caller import Caller
from natter_bench.conversation import exchange
from natter_bench.speech import EncodedSpeech
from natter_testing.eventually import eventually

WITHIN_S: Final = 10.0
"""For what comes at once on an idle machine."""
_TRIES: Final = 5


def refusal(answer: httpx.Response, *statuses: int) -> str:
    """Why a request was refused: the words of `{"detail": …}`. Fails when it was not, or not in words."""
    assert answer.status_code in statuses, f"HTTP {answer.status_code}: {answer.text[:300]}"
    detail = answer.json()["detail"]
    assert isinstance(detail, str)
    assert detail
    return detail


def last_message_s(caller: Caller) -> float:
    """When the caller's page heard of the bot last: what comes after is news."""
    return caller.recording.messages[-1].time_s


async def is_answered_in_text(caller: Caller) -> None:
    """What is typed is answered. Asked again while messages are being refused for their number."""
    before_s = last_message_s(caller)
    for _ in range(_TRIES):
        caller.send_text("Are you there?", audio_response=False)
        if await caller.wait_for("user-llm-text", after_s=before_s, within_s=WITHIN_S / _TRIES):
            break
    assert await caller.wait_for("bot-llm-stopped", after_s=before_s, within_s=WITHIN_S), "no answer"
    assert caller.recording.of_type("bot-output", after_s=before_s)


async def is_answered_aloud(caller: Caller, speech: EncodedSpeech) -> None:
    """What is spoken is understood and answered."""
    before_s = last_message_s(caller)
    await exchange(caller, speech, pause_s=0)
    assert caller.recording.of_type("user-transcription", after_s=before_s)
    assert caller.recording.of_type("bot-stopped-speaking", after_s=before_s)
    assert not caller.recording.of_type("error", after_s=before_s)


async def frames_dropped(http: httpx.AsyncClient, **labels: str) -> float:
    """Frames that a process has dropped and counted, in all or of some labels (`kind`, `reason`)."""
    page = (await http.get("/metrics")).text
    return sum(
        sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
        if sample.name == "natter_frames_dropped_total" and labels.items() <= sample.labels.items()
    )


async def drops_reach(http: httpx.AsyncClient, count: float, **labels: str) -> None:
    """Wait until that many frames were dropped."""
    await eventually(lambda: frames_dropped(http, **labels), lambda seen: seen >= count, WITHIN_S)


async def sessions(http: httpx.AsyncClient) -> int:
    """Sessions that a process has, as its health page says."""
    health = cast("dict[str, Any]", (await http.get("/health")).json())
    return int(health["sessions"])
