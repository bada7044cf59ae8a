"""The figures of a run: gathered from recordings, as data and as text for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from natter_bench.caller import Caller, Setup
from natter_bench.conversation import Exchange
from natter_bench.measure import Gap, Hole, Interruption, as_heard, gaps, holes, interruption, p50, p95, turn
from natter_bench.recording import ReceivedFrame
from natter_bench.resources import Cost
from natter_bench.tap import MadeSegment, VoiceTap
from natter_bench.transcript import Latency, bot_text, latencies, user_text


@dataclass(frozen=True, slots=True)
class VoiceReport:
    """How the voice that tts made for a turn came through."""

    segments: int
    holes: list[Hole]
    unheard: int
    """Segments never heard."""
    cut: int
    """Segments that ended early."""


@dataclass(frozen=True, slots=True)
class TurnReport:
    """One turn as the caller heard it, and what the gateway says about it."""

    voice_to_voice_ms: float | None
    missed: bool
    talked_over: bool
    gaps: list[Gap]
    voice: VoiceReport | None
    """None: nobody listened to what tts made."""
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
    barge_ins: list[Interruption]
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
    def holes(self) -> int | None:
        """Holes in the voice against what tts made; None where nobody listened to that."""
        voices = [one.voice for one in self.turns if one.voice is not None]
        return sum(len(voice.holes) for voice in voices) if voices else None

    @property
    def incomplete_segments(self) -> int:
        """Segments of undisturbed turns that were not heard, or not to their end."""
        return sum(one.voice.unheard + one.voice.cut for one in self.turns if one.voice is not None)

    @property
    def suspected_holes(self) -> int:
        """Gaps that look like holes. Without the audio that tts made nobody can be sure of those of silence."""
        return sum(gap.looks_like_hole for one in self.turns for gap in one.gaps)


def session_report(
    caller: Caller,
    exchanges: Sequence[Exchange],
    barge_ins: Sequence[Exchange],
    seconds: float,
    tap: VoiceTap | None = None,
) -> SessionReport:
    """Measure a call that is over (decodes what was received: about 1.3 ms per second of the call)."""
    frames = caller.recording.frames()
    heard = [
        interruption(caller.recording.sent, frames, after_s=one.began_s, before_s=one.ended_s) for one in barge_ins
    ]
    outgoing, incoming = caller.dropped
    return SessionReport(
        setup=caller.setup,
        turns=[report for one in exchanges if (report := turn_report(caller, frames, one, tap)) is not None],
        barge_ins=[one for one in heard if one is not None],
        late_frames=caller.microphone.late_frames,
        dropped_outgoing=outgoing,
        dropped_incoming=incoming,
        seconds=seconds,
    )


def turn_report(
    caller: Caller, frames: Sequence[ReceivedFrame], window: Exchange, tap: VoiceTap | None = None
) -> TurnReport | None:
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
        voice=None if tap is None else _voice_report(tap, frames, after_s=after_s, before_s=before_s),
        user_text=user_text(recording, after_s=after_s, before_s=before_s),
        bot_text=bot_text(recording, after_s=after_s, before_s=before_s),
        latency=next(iter(latencies(recording, after_s=after_s, before_s=before_s)), None),
    )


def _voice_report(tap: VoiceTap, frames: Sequence[ReceivedFrame], *, after_s: float, before_s: float) -> VoiceReport:
    made = _played(tap.segments(after_s=after_s, before_s=before_s))
    heard = holes([segment.pcm for segment in made], as_heard(frames, after_s=after_s, before_s=before_s))
    return VoiceReport(len(made), heard.holes, len(heard.unheard), len(heard.cut))


def _played(made: Sequence[MadeSegment]) -> list[MadeSegment]:
    """Of each turn its newest attempt: guesses that were dropped before are not heard, and may say the same."""
    newest = {one.turn: one.attempt for one in made}
    return [one for one in made if one.attempt == newest[one.turn]]


def summary(values: Sequence[float]) -> Summary:
    """Of any figures in ms."""
    return Summary(p50(values), p95(values), len(values))


def time_to_silence(sessions: Sequence[SessionReport]) -> Summary:
    """Over all barge-ins that fell silent."""
    return summary(
        [
            one.time_to_silence_ms
            for session in sessions
            for one in session.barge_ins
            if one.time_to_silence_ms is not None
        ]
    )


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
        _holes(session),
    ]
    if interrupted:
        lines.append(f"time to silence  {_barge_ins(session)}")
    if session.dropped_outgoing or session.dropped_incoming:
        lines.append(f"packets lost     {session.dropped_outgoing} sent, {session.dropped_incoming} received")
    lines += cost_lines(services)
    lines += late_lines([session])
    return "\n".join(lines) + "\n"


def cost_lines(services: dict[str, Cost]) -> list[str]:
    """CPU and memory, a line a service."""
    if not services:
        return ["services         no figures: name them with --service NAME=URL or --services-file FILE"]
    return ["service            CPU s per session s          memory"] + [
        f"  {name:<14} {cost.cpu_s_per_session_s:8.4f} ({cost.cpu_s_per_session_s:5.1%} of a core)"
        f" {cost.memory_mb:7.0f} MB"
        for name, cost in services.items()
    ]


def late_lines(sessions: Sequence[SessionReport]) -> list[str]:
    """A warning when the bench itself was starved."""
    late = sum(session.late_frames for session in sessions)
    sent = sum(session.seconds for session in sessions) * 50
    if late <= sent * 0.01:
        return []
    return [f"warning          {late} frames left over 10 ms late: this machine is too busy to measure on"]


def _holes(session: SessionReport) -> str:
    if session.holes is None:
        return f"suspected holes  {session.suspected_holes} (by ear alone: --nats URL compares with what tts made)"
    segments = sum(one.voice.segments for one in session.turns if one.voice is not None)
    incomplete = f", {session.incomplete_segments} not heard to the end" if session.incomplete_segments else ""
    return f"holes            {session.holes} in {segments} segments{incomplete}"


def _barge_ins(session: SessionReport) -> str:
    if not session.barge_ins:
        return "not measured: no reply was long enough to be interrupted"
    found = time_to_silence([session])
    failed = sum(not one.silenced for one in session.barge_ins)
    text = f"p50 {_ms(found.p50)}   p95 {_ms(found.p95)}   ({found.count} interruptions)"
    return f"{text}, and {failed} that did not stop the reply" if failed else text


def _ms(value: float | None) -> str:
    return "   –" if value is None else f"{value:4.0f} ms"
