"""The command `natter-bench`."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any, TypeVar

import uvloop

from natter_bench.call import CallOptions, run_call
from natter_bench.caller import Network
from natter_bench.errors import CallError
from natter_bench.load import LoadOptions, load_text, run_load
from natter_bench.loss import LosePackets, Loss, NoLoss, RandomLoss
from natter_bench.opus import OpusError
from natter_bench.report import call_text, contributions, voice_to_voice
from natter_bench.resources import read_services
from natter_bench.speech import SpeechError

_T = TypeVar("_T")

DEFAULT_URL = "http://127.0.0.1:7860"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; 0 when it could measure, 2 when not (with the reason on stderr)."""
    parsed = _parser().parse_args(arguments)
    try:
        services = read_services(parsed.url, parsed.service, parsed.services_file)
        if parsed.command == "call":
            _call(parsed, services)
        else:
            _load(parsed, services)
    except (CallError, SpeechError, OpusError) as error:
        sys.stderr.write(f"natter-bench: {error}\n")
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


def _call(parsed: argparse.Namespace, services: Any) -> None:
    options = CallOptions(
        url=parsed.url,
        bot=parsed.bot,
        turns=parsed.turns,
        via_start=not parsed.direct,
        barge_in=not parsed.no_barge_in,
        network=_network(parsed),
        voice=parsed.voice,
    )
    report = _run(run_call(options, services))
    if parsed.json:
        _print_json(
            {
                **dataclasses.asdict(report),
                "voice_to_voice_ms": dataclasses.asdict(voice_to_voice([report.session])),
                "contributions_ms": {
                    name: dataclasses.asdict(part) for name, part in contributions([report.session]).items()
                },
                "missed_turns": report.session.missed_turns,
                "suspected_holes": report.session.suspected_holes,
                "time_to_silence_ms": (
                    report.session.barge_in.time_to_silence_ms if report.session.barge_in is not None else None
                ),
            }
        )
    else:
        sys.stdout.write(call_text(report.session, report.services, interrupted=options.barge_in))


def _load(parsed: argparse.Namespace, services: Any) -> None:
    options = LoadOptions(
        url=parsed.url,
        sessions=parsed.sessions,
        seconds=parsed.seconds,
        bot=parsed.bot,
        via_start=not parsed.direct,
        voice=parsed.voice,
    )
    report = _run(run_load(options, services))
    if parsed.json:
        _print_json(
            {
                **dataclasses.asdict(report),
                "voice_to_voice_ms": dataclasses.asdict(voice_to_voice(report.sessions)),
                "missed_turns": sum(session.missed_turns for session in report.sessions),
                "suspected_holes": sum(session.suspected_holes for session in report.sessions),
            }
        )
    else:
        sys.stdout.write(load_text(report))


def _run(work: Coroutine[Any, Any, _T]) -> _T:
    return uvloop.run(work)


def _network(parsed: argparse.Namespace) -> Network:
    def one_way(seed: int) -> Loss:
        if parsed.lose_packet:
            return LosePackets(frozenset(parsed.lose_packet))
        return RandomLoss(parsed.loss, seed) if parsed.loss else NoLoss()

    # Two seeds: one network does not lose the same packets both ways.
    return Network(outgoing=one_way(parsed.seed), incoming=one_way(parsed.seed + 1))


def _print_json(value: Any) -> None:
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="natter-bench",
        description="Calls a running Natter as a browser does, talks to it, and measures what the caller hears.",
        epilog="What is measured, and how, is defined in natter_bench/measure.py.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    call = commands.add_parser(
        "call",
        help="one caller, some turns in a row, a barge-in at the end",
        description="One caller asks some questions, hears each reply to its end, and interrupts the last one.",
    )
    _common(call)
    call.add_argument("--turns", type=_positive_int, default=10, metavar="N", help="questions to ask (default 10)")
    call.add_argument("--no-barge-in", action="store_true", help="leave out the interruption at the end")
    losses = call.add_mutually_exclusive_group()
    losses.add_argument(
        "--loss", type=_fraction, default=0.0, metavar="F", help="lose this fraction of packets both ways, e.g. 0.02"
    )
    losses.add_argument(
        "--lose-packet",
        type=int,
        action="append",
        default=[],
        metavar="K",
        help="lose exactly packet K of each direction, counted from 0 at 50 a second; may be repeated",
    )
    call.add_argument(
        "--seed", type=int, default=1, metavar="S", help="the same seed loses the same packets (default 1)"
    )

    load = commands.add_parser(
        "load",
        help="many callers in conversation at once",
        description="Holds conversations side by side and prints what a session costs each service.",
    )
    _common(load)
    load.add_argument("--sessions", type=_positive_int, default=10, metavar="N", help="callers (default 10)")
    load.add_argument(
        "--seconds", type=float, default=60.0, metavar="T", help="how long to measure, with all connected (default 60)"
    )
    return parser


def _common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--url", default=DEFAULT_URL, help=f"where the gateway answers (default {DEFAULT_URL})")
    parser.add_argument("--bot", help="bot to call (default: the one marked default)")
    parser.add_argument("--direct", action="store_true", help="offer straight to /api/offer, without /start")
    parser.add_argument("--voice", choices=["hibari", "espeak"], help="voice of the caller (default: built in)")
    parser.add_argument(
        "--service",
        action="append",
        default=[],
        metavar="NAME=URL",
        help="a service whose /metrics tell CPU and memory; may be repeated",
    )
    parser.add_argument(
        "--services-file", type=Path, metavar="FILE", help="the services as the local runner wrote them (JSON)"
    )
    parser.add_argument("--json", action="store_true", help="print everything as JSON")


def _positive_int(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return value


def _fraction(text: str) -> float:
    value = float(text)
    if not 0 <= value < 1:
        raise argparse.ArgumentTypeError("must be a fraction from 0 to below 1")
    return value
