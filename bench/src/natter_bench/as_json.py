"""Reports as JSON, with the figures that the text shows beside all that they were made of."""

from __future__ import annotations

import dataclasses
from typing import Any

from natter_bench.call import CallReport
from natter_bench.load import LoadReport
from natter_bench.loss_comparison import CLEAN, LossReport
from natter_bench.report import contributions, time_to_silence, voice_to_voice


def call_json(report: CallReport) -> dict[str, Any]:
    """Of `call` and `run`."""
    sessions = [report.session]
    return {
        **dataclasses.asdict(report),
        "voice_to_voice_ms": dataclasses.asdict(voice_to_voice(sessions)),
        "contributions_ms": {name: dataclasses.asdict(part) for name, part in contributions(sessions).items()},
        "time_to_silence_ms": dataclasses.asdict(time_to_silence(sessions)),
        "missed_turns": report.session.missed_turns,
        "holes": report.session.holes,
        "suspected_holes": report.session.suspected_holes,
    }


def loss_json(report: LossReport) -> dict[str, Any]:
    """Of `loss`."""
    return {
        name: {
            "p50_ms": report.p50_ms(name),
            "missed_turns": run.missed_turns,
            "holes": run.holes,
            "dropped": {"outgoing": run.dropped_outgoing, "incoming": run.dropped_incoming},
            "difference_ms": None
            if name == CLEAN
            else {
                "p50": report.p50_difference_ms(name),
                "same_question": report.paired_difference_ms(name),
                "without_model_and_voice": report.transport_difference_ms(name),
            },
            "session": dataclasses.asdict(run),
        }
        for name, run in report.runs.items()
    }


def load_json(report: LoadReport) -> dict[str, Any]:
    """Of `load`."""
    return {
        **dataclasses.asdict(report),
        "voice_to_voice_ms": dataclasses.asdict(voice_to_voice(report.sessions)),
        "missed_turns": sum(session.missed_turns for session in report.sessions),
        "suspected_holes": sum(session.suspected_holes for session in report.sessions),
    }
