"""`natter-bench talk`: the cases, one after the other, to a system of its own with the built-in models."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from natter_bench.errors import CallError
from natter_bench.signalling import http_client
from natter_bench.talk.bots import write_bots
from natter_bench.talk.cases import Case, Kind, calls, chosen
from natter_bench.talk.judge import Judgement, judge
from natter_bench.talk.keeping import stereo_wav, story
from natter_bench.talk.player import play, prepare
from natter_bench.talk.sums import Figure, Speculation, figures, speculation_of
from natter_bench.talk.table import case_line
from natter_bench.talk.voices import ESPEAK_HINT, espeak_is_there
from natter_bench.undisturbed import undisturbed
from natter_local.broker import BrokerError
from natter_local.settings import project_root
from natter_local.system import LocalOptions, LocalSystem, StartError

_METRICS_WITHIN_S = 5.0


@dataclass(frozen=True, slots=True)
class TalkOptions:
    """What to play."""

    kinds: frozenset[Kind] | None = None
    """None: all."""
    case: str | None = None
    """Name of a case, or the beginning of names."""
    keep: Path | None = None
    """Where to put a stereo WAV of each case: left what was sent, right what was heard."""


@dataclass(slots=True)
class TalkReport:
    """What came of it."""

    judged: list[Judgement] = field(default_factory=list[Judgement])
    figures: list[Figure] = field(default_factory=list[Figure])
    skipped: list[str] = field(default_factory=list[str])


async def run_talk(options: TalkOptions, say: Callable[[str], object]) -> TalkReport:
    """Start broker and services, play, stop all. `say` gets a line for each case. Raises CallError, SpeechError."""
    cases = chosen(options.kinds, options.case)
    if not cases:
        raise CallError("no case has that name")
    report = TalkReport()
    if not espeak_is_there():
        left_out = [case for case in cases if case.needs_espeak]
        cases = tuple(case for case in cases if not case.needs_espeak)
        if left_out:
            report.skipped.append(f"{len(left_out)} cases left out: {ESPEAK_HINT}")
    say(f"making the audio of {len(cases)} cases\n")
    for case in cases:
        # Kept on disk: a voice that works meanwhile would slow the services down.
        prepare(case)
    with tempfile.TemporaryDirectory(prefix="natter-talk-", ignore_cleanup_errors=True) as folder:
        bots = Path(folder) / "bots"
        write_bots(bots)
        env = {"NATTER_BOTS_DIR": str(bots), "NATTER_WEB_DIR": str(project_root() / "web" / "dist")}
        say("starting the services; models take a few seconds to load\n")
        try:
            async with LocalSystem(Path(folder) / "system", LocalOptions(env=env)) as system, http_client() as http:
                await _play_all(cases, system, http, options, report, say)
                report.figures = figures(report.judged, await _speculation(http, system.url))
        except (StartError, BrokerError) as error:
            raise CallError(f"the services do not come up: {error}") from error
    return report


async def _play_all(
    cases: Sequence[Case],
    system: LocalSystem,
    http: httpx.AsyncClient,
    options: TalkOptions,
    report: TalkReport,
    say: Callable[[str], object],
) -> None:
    for call in calls(cases):
        with undisturbed():
            all_played = await play(call, system.url, system.nats_url, http)
        for played in all_played:
            judged = judge(played)
            report.judged.append(judged)
            say(case_line(judged) + "\n")
            if options.keep is not None:
                options.keep.mkdir(parents=True, exist_ok=True)
                (options.keep / f"{played.case.name}.wav").write_bytes(stereo_wav(played))
                (options.keep / f"{played.case.name}.txt").write_text(story(played))


async def _speculation(http: httpx.AsyncClient, url: str) -> Speculation | None:
    try:
        response = await http.get(url.rstrip("/") + "/metrics", timeout=_METRICS_WITHIN_S)
    except httpx.HTTPError:
        return None
    return speculation_of(response.text) if response.is_success else None
