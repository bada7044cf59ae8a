"""The figures of a run: gathered from recordings, as data and as text for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from natter_bench.caller import Caller, Setup
from natter_bench.conversation import Exchange
from natter_bench.measure import Gap, Interruption, gaps, interruption, p50, p95, turn
from natter_bench.recording import ReceivedFrame
from natter_bench.resources import Cost
from natter_bench.transcript import Latency, bot_text, latencies, user_text


@dataclass(frozen=True, slots=True)
class TurnReport:
    """One turn as the caller heard it, and what the gateway says about it."""

    voice_to_voice_ms: float | None
    missed: bool
    talked_over: bool
    gaps: list[Gap]
    user_text: str
    bot_text: str
    latency: Latency | None


@dataclass(frozen=True, slots=True)
class Summary:
    """Median and 95th percentile in ms."""

    p50: float | None
    p95: float | None
    count: int


@dataclass(frozen=True, slots=True)
class SessionReport:
    """One call."""

    setup: Setup
    turns: list[TurnReport]
    barge_in: Interruption | None
    late_frames: int
    """Frames that the caller itself sent over 10 ms late: its machine was too busy."""
    dropped_outgoing: int
    dropped_incoming: int
    seconds: float

    @property
    def missed_turns(self) -> int:
        """Turns without bot audio within 5 s."""
        return sum(one.missed for one in self.turns)

    @property
    def talked_over(self) -> int:
        """Turns in which the bot spoke before the caller had ended."""
        return sum(one.talked_over for one in self.turns)

    @property
    def suspected_holes(self) -> int:
        """Gaps that look like holes. Without the audio that tts made nobody can be sure of those of silence."""
        return sum(gap.looks_like_hole for one in self.turns for gap in one.gaps)


def session_report(
    caller: Caller, exchanges: Sequence[Exchange], barge_in: Exchange | None, seconds: float
) -> SessionReport:
    """Measure a call that is over (decodes what was received: about 1.3 ms per second of the call)."""
    frames = caller.recording.frames()
    heard = None
    if barge_in is not None:
        heard = interruption(caller.recording.sent, frames, after_s=barge_in.began_s, before_s=barge_in.ended_s)
    outgoing, incoming = caller.dropped
    return SessionReport(
        setup=caller.setup,
        turns=[report for one in exchanges if (report := turn_report(caller, frames, one)) is not None],
        barge_in=heard,
        late_frames=caller.microphone.late_frames,
        dropped_outgoing=outgoing,
        dropped_incoming=incoming,
        seconds=seconds,
    )


def turn_report(caller: Caller, frames: Sequence[ReceivedFrame], window: Exchange) -> TurnReport | None:
    """Measure one exchange of a call; None when nothing was said."""
    recording, after_s, before_s = caller.recording, window.began_s, window.ended_s
    measured = turn(recording.sent, frames, after_s=after_s, before_s=before_s)
    if measured is None:
        return None
    reply_s = measured.first_sample_s
    return TurnReport(
        voice_to_voice_ms=measured.voice_to_voice_ms,
        missed=measured.missed,
        talked_over=measured.talked_over,
        gaps=[] if reply_s is None else gaps(frames, after_s=reply_s, before_s=before_s),
        user_text=user_text(recording, after_s=after_s, before_s=before_s),
        bot_text=bot_text(recording, after_s=after_s, before_s=before_s),
        latency=next(iter(latencies(recording, after_s=after_s, before_s=before_s)), None),
    )


def summary(values: Sequence[float]) -> Summary:
    """Of any figures in ms."""
    return Summary(p50(values), p95(values), len(values))


def voice_to_voice(sessions: Sequence[SessionReport]) -> Summary:
    """Over all turns of all sessions that have one."""
    return summary(
        [one.voice_to_voice_ms for session in sessions for one in session.turns if one.voice_to_voice_ms is not None]
    )


def contributions(sessions: Sequence[SessionReport]) -> dict[str, Summary]:
    """By name, in the order in which the gateway names them; "total" last. Empty when it sends none."""
    values: dict[str, list[float]] = {}
    totals: list[float] = []
    for session in sessions:
        for one in session.turns:
            if one.latency is None:
                continue
            for name, ms in one.latency.contributions.items():
                values.setdefault(name, []).append(ms)
            totals.append(one.latency.total_ms)
    found = {name: summary(ms) for name, ms in values.items()}
    return {**found, "total": summary(totals)} if totals else found


def call_text(session: SessionReport, services: dict[str, Cost], *, interrupted: bool) -> str:
    """A call for the terminal."""
    setup, speed = session.setup, voice_to_voice([session])
    lines = [
        f"setup            {setup.ready_ms:.0f} ms until the bot was ready (answer {setup.answered_ms:.0f}, "
        f"connection {setup.connected_ms:.0f})",
        f"voice-to-voice   p50 {_ms(speed.p50)}   p95 {_ms(speed.p95)}   ({speed.count} turns)",
    ]
    parts = contributions([session])
    lines += [f"  {name:<14} p50 {_ms(part.p50)}   p95 {_ms(part.p95)}" for name, part in parts.items()]
    if not parts:
        lines.append("  (the gateway sent no contributions)")
    lines += [
        f"missed turns     {session.missed_turns} of {len(session.turns)}"
        + (f", and the bot spoke too early in {session.talked_over}" if session.talked_over else ""),
        f"suspected holes  {session.suspected_holes} (by ear alone, without the audio that tts made)",
    ]
    if interrupted:
        lines.append(f"time to silence  {_barge_in(session.barge_in)}")
    if session.dropped_outgoing or session.dropped_incoming:
        lines.append(f"packets lost     {session.dropped_outgoing} sent, {session.dropped_incoming} received")
    lines += cost_lines(services)
    lines += late_lines([session])
    return "\n".join(lines) + "\n"


def cost_lines(services: dict[str, Cost]) -> list[str]:
    """CPU and memory, a line a service."""
    if not services:
        return ["services         no figures: name them with --service NAME=URL or --services-file FILE"]
    return ["service          CPU per session   memory"] + [
        f"  {name:<14} {cost.cpu_s_per_session_s * 100:8.2f} % of a core {cost.memory_mb:7.0f} MB"
        for name, cost in services.items()
    ]


def late_lines(sessions: Sequence[SessionReport]) -> list[str]:
    """A warning when the bench itself was starved."""
    late = sum(session.late_frames for session in sessions)
    sent = sum(session.seconds for session in sessions) * 50
    if late <= sent * 0.01:
        return []
    return [f"warning          {late} frames left over 10 ms late: this machine is too busy to measure on"]


def _barge_in(heard: Interruption | None) -> str:
    if heard is None or heard.last_audible_s is None:
        return "not measured: the reply was over before it could be interrupted"
    if not heard.silenced:
        return "never: the reply went on"
    return _ms(heard.time_to_silence_ms)


def _ms(value: float | None) -> str:
    return "   –" if value is None else f"{value:4.0f} ms"
