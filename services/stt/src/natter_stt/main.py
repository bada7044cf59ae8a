"""The stt worker: `natter-stt`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from natter_common.providers import close_all, installed, load_all
from natter_common.service import Service
from natter_common.settings import WorkerSettings
from natter_common.worker import Input, Outlet, StageDefinition, run_worker
from natter_proto import Lease, Recognizer, Stage
from natter_proto import SpeechEnds as SpeechEndsFrame
from natter_stt.provider import ENTRY_POINT_GROUP, SpeechEnds, SttProvider
from natter_stt.session import SttSession

# The built-in recognizer reads one piece at a time: somebody who speaks keeps it busy for a quarter to a third of the
# time. With callers who speak half of the time, finals took 120 ms (90th percentile) for 4 of them, and 690 ms for 8.
CAPACITY: Final = 6
# Elsewhere the work is done by others: such a session costs this worker 1 to 3 % of a core, and not a third.
ELSEWHERE: Final = 0.15
_SPEECH_ENDS: Final = {
    SpeechEnds.FINALIZE: SpeechEndsFrame.SPEECH_ENDS_FINALIZE,
    SpeechEnds.ENDPOINT: SpeechEndsFrame.SPEECH_ENDS_ENDPOINT,
    SpeechEnds.TURNS: SpeechEndsFrame.SPEECH_ENDS_TURNS,
}


class SttSettings(WorkerSettings):
    """Settings of an stt worker."""

    capacity: int = CAPACITY


async def load(service: Service) -> StageDefinition:
    """Load every provider that can be had; the built-in one loads its model."""
    return define(await load_all(installed(ENTRY_POINT_GROUP, SttProvider), service.metrics.registry, service.log))


def define(providers: Mapping[str, SttProvider]) -> StageDefinition:
    """The stage as the worker serves it, with providers that are started."""

    def open_session(lease: Lease, outlet: Outlet) -> SttSession:
        return SttSession(lease, outlet, providers[lease.provider])

    details = {name: provider.describe() for name, provider in providers.items()}

    return StageDefinition(
        Stage.STAGE_STT,
        Input.MIC | Input.CONTROLS,
        details,
        open_session,
        watched=providers,
        shares={name: 1.0 if name == "local" else ELSEWHERE for name in providers},
        recognizers={name: declare(provider) for name, provider in providers.items()},
        close=lambda: close_all(providers),
    )


def declare(provider: SttProvider) -> Recognizer:
    """What the conductor has to know of a provider."""
    return Recognizer(
        speech_ends=_SPEECH_ENDS[provider.speech_ends],
        final_within_ms=provider.final_within_ms,
        early_final=provider.early_final,
        stable_interims=provider.stable_interims,
        final_grace_ms=provider.final_grace_ms,
    )


def main() -> None:
    """Console script."""
    run_worker("stt", SttSettings, load, "Natter's speech recognition: microphone frames in, transcripts out.")
