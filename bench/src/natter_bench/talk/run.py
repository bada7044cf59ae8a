"""`natter-bench talk`: the cases, one after the other, to a system of its own with the built-in models."""

from __future__ import annotations

import io
import tempfile
import wave
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import numpy as np

from natter_bench.errors import CallError
from natter_bench.measure import as_heard
from natter_bench.opus import Pcm
from natter_bench.recording import VOICE_HZ
from natter_bench.signalling import http_client
from natter_bench.talk.bots import write_bots
from natter_bench.talk.cases import Case, Kind, chosen
from natter_bench.talk.judge import Judgement, judge
from natter_bench.talk.player import Played, play, prepare
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
    for case in cases:
        with undisturbed():
            played = await play(case, system.url, system.nats_url, http)
        judged = judge(played)
        report.judged.append(judged)
        say(case_line(judged) + "\n")
        if options.keep is not None:
            options.keep.mkdir(parents=True, exist_ok=True)
            (options.keep / f"{case.name}.wav").write_bytes(stereo_wav(played))
            (options.keep / f"{case.name}.txt").write_text(story(played))


def story(played: Played) -> str:
    """What happened in a case in order, with times from where the caller began to speak."""
    lines: list[tuple[float, str]] = []
    observed = played.observed
    lines += [
        (one.time_s, f"vad         {one.event} at {one.sample_ms:.0f} ms, p {one.probability:.2f}")
        for one in observed.detected
    ]
    lines += [(time_s, f"playout     {'held' if held else 'goes'}") for time_s, held in observed.held]
    lines += [(one.time_s, f"asked       {one.key} {one.text!r} after {one.heard_before!r}") for one in observed.asked]
    lines += [(time_s, f"committed   {key}") for key, time_s in observed.committed.items()]
    lines += [
        (time_s, f"{'final' if final else 'interim':<11} {text!r}") for time_s, text, final in observed.transcripts
    ]
    lines += [
        (one.time_s, f"page        {one.type} {one.data if one.data else ''}") for one in played.recording.messages
    ]
    spoken = [frame.time_s for frame in played.recording.sent if frame.dbfs > -45.0 and frame.time_s >= played.began_s]
    if spoken:
        lines += [(spoken[0], "CALLER      begins"), (spoken[-1], "CALLER      ends")]
    loud = [frame.time_s for frame in played.recording.frames() if frame.dbfs > -45.0]
    edges = [0, *(n for n in range(1, len(loud)) if loud[n] - loud[n - 1] > 0.15)]
    for number, first in enumerate(edges):
        last = edges[number + 1] - 1 if number + 1 < len(edges) else len(loud) - 1
        if loud:
            lines += [(loud[first], "BOT         audible"), (loud[last], "BOT         quiet")]
    return "".join(f"{time_s - played.began_s:8.3f}  {text}\n" for time_s, text in sorted(lines))


def stereo_wav(played: Played) -> bytes:
    """Left what the caller sent, right what the caller heard, on one clock."""
    sent = np.concatenate(played.sent) if played.sent else np.zeros(0, dtype=np.int16)
    sound = as_heard(played.recording.frames())
    first_s = played.recording.sent[0].time_s if played.recording.sent else sound.start_s
    apart = round((sound.start_s - first_s) * VOICE_HZ)
    left, right = _placed(sent, -apart), _placed(sound.pcm, apart)
    both = np.zeros((max(len(left), len(right)), 2), dtype="<i2")
    both[: len(left), 0], both[: len(right), 1] = left, right
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(VOICE_HZ)
        file.writeframes(both.tobytes())
    return buffer.getvalue()


def _placed(pcm: Pcm, late_samples: int) -> Pcm:
    return np.concatenate([np.zeros(max(0, late_samples), dtype=np.int16), pcm])


async def _speculation(http: httpx.AsyncClient, url: str) -> Speculation | None:
    try:
        response = await http.get(url.rstrip("/") + "/metrics", timeout=_METRICS_WITHIN_S)
    except httpx.HTTPError:
        return None
    return speculation_of(response.text) if response.is_success else None
