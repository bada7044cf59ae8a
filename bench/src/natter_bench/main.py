"""The command `natter-bench`."""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import json
import sys
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

import uvloop

from natter_bench.as_json import call_json, load_json, loss_json
from natter_bench.call import CallOptions, run_call
from natter_bench.caller import Network
from natter_bench.cost import CostOptions, cost_text, run_cost
from natter_bench.errors import CallError
from natter_bench.latency import LatencyOptions, latency_json, run_latency
from natter_bench.latency_text import latency_text
from natter_bench.leak import leak_text, run_leak
from natter_bench.load import LoadOptions, load_text, run_load
from natter_bench.loss import LosePackets, Loss, NoLoss, RandomLoss
from natter_bench.loss_comparison import DEFAULT_PACKET, LossOptions, compare_losses, loss_text
from natter_bench.opus import OpusError
from natter_bench.own_system import run_on_own_system
from natter_bench.pipecat_system import install_pipecat
from natter_bench.report import call_text
from natter_bench.resources import nats_of, read_services
from natter_bench.speech import SpeechError
from natter_bench.talk.cases import KINDS, Kind
from natter_bench.talk.run import TalkOptions, run_talk
from natter_bench.talk.table import talk_json, talk_text
from natter_bench.tap import DEFAULT_REALM
from natter_bench.turns import TurnsOptions, run_turns, turns_text

_T = TypeVar("_T")

DEFAULT_URL: Final = "http://127.0.0.1:7860"
_DIRECT: Final = "offer straight to /api/offer, without /start"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; 0 when it could measure, 2 when not (with the reason on stderr), 1 for leaks that it found."""
    parsed = _parser().parse_args(arguments)
    try:
        code = _COMMANDS[parsed.command](parsed)
    except (CallError, SpeechError, OpusError) as error:
        sys.stderr.write(f"natter-bench: {error}\n")
        return 2
    except KeyboardInterrupt:
        return 130
    return code or 0


def _call(parsed: argparse.Namespace) -> None:
    services = read_services(parsed.url, parsed.service, parsed.services_file)
    options = CallOptions(
        url=parsed.url,
        bot=parsed.bot,
        turns=parsed.turns,
        via_start=not parsed.direct,
        barge_ins=parsed.barge_ins,
        network=_network(parsed) if "loss" in parsed else Network(),
        voice=parsed.voice,
        nats_url=parsed.nats or nats_of(parsed.services_file),
        realm=parsed.realm,
    )
    report = _run(run_call(options, services))
    if parsed.json:
        _print_json(call_json(report))
    else:
        sys.stdout.write(call_text(report.session, report.services, interrupted=options.barge_ins > 0))


def _bench(parsed: argparse.Namespace) -> None:
    if parsed.url is not None:
        _call(parsed)
        return
    options = CallOptions(url="", bot=parsed.bot, turns=parsed.turns, barge_ins=parsed.barge_ins, voice=parsed.voice)
    report = _run(run_on_own_system(options, say=sys.stderr.write))
    if parsed.json:
        _print_json({"started_s": report.started_s, **call_json(report.call)})
    else:
        sys.stdout.write(f"start            {report.started_s:.1f} s until all services were ready\n")
        sys.stdout.write(call_text(report.call.session, report.call.services, interrupted=options.barge_ins > 0))


def _loss(parsed: argparse.Namespace) -> None:
    options = LossOptions(
        url=parsed.url,
        bot=parsed.bot,
        turns=parsed.turns,
        fraction=parsed.loss,
        packet=parsed.lose_packet,
        seed=parsed.seed,
        voice=parsed.voice,
        nats_url=parsed.nats or nats_of(parsed.services_file),
        realm=parsed.realm,
    )
    report = _run(compare_losses(options))
    if parsed.json:
        _print_json(loss_json(report))
    else:
        sys.stdout.write(loss_text(report))


def _load(parsed: argparse.Namespace) -> None:
    services = read_services(parsed.url, parsed.service, parsed.services_file)
    options = LoadOptions(
        url=parsed.url,
        sessions=parsed.sessions,
        seconds=parsed.seconds,
        bot=parsed.bot,
        via_start=not parsed.direct,
        voice=parsed.voice,
        talk=not parsed.quiet,
    )
    report = _run(run_load(options, services))
    if parsed.json:
        _print_json(load_json(report))
    else:
        sys.stdout.write(load_text(report))


def _cost(parsed: argparse.Namespace) -> None:
    # Not uvloop: LocalSystem's children, as `natter-local` runs them.
    report = asyncio.run(
        run_cost(CostOptions(parsed.sessions, parsed.seconds, parsed.quiet_seconds, parsed.services_file))
    )
    if parsed.json:
        _print_json({**dataclasses.asdict(report), "within_limit": report.within_limit})
    else:
        sys.stdout.write(cost_text(report))


def _latency(parsed: argparse.Namespace) -> None:
    if parsed.install_pipecat:
        install_pipecat(sys.stderr.write)
    options = LatencyOptions(parsed.utterances, parsed.barge_ins, parsed.only)
    report = _run(run_latency(options, sys.stderr.write))
    if parsed.json:
        _print_json(latency_json(report))
    else:
        sys.stdout.write(latency_text(report, verbose=parsed.verbose))


def _leak(parsed: argparse.Namespace) -> int:
    report = asyncio.run(run_leak(parsed.sessions))
    sys.stdout.write(leak_text(report))
    return 1 if report.left_behind else 0


def _many_turns(parsed: argparse.Namespace) -> int:
    options = TurnsOptions(
        turns=parsed.turns,
        session_turns=parsed.session_turns,
        reconnect_every=parsed.reconnect_every,
        samples=parsed.samples,
        stt=parsed.stt,
        llm=parsed.llm,
        tts=parsed.tts,
    )
    report = asyncio.run(run_turns(options))
    if parsed.json:
        _print_json(dataclasses.asdict(report))
    else:
        sys.stdout.write(turns_text(report))
    return 1 if report.grew or report.too_many_missed else 0


def _talk(parsed: argparse.Namespace) -> None:
    options = TalkOptions(kinds=parsed.kind, case=parsed.case, keep=parsed.keep)
    report = _run(run_talk(options, say=sys.stderr.write))
    if parsed.json:
        _print_json(talk_json(report.judged, report.figures, report.skipped))
    else:
        sys.stdout.write(talk_text(report.judged, report.figures, report.skipped))


_COMMANDS: Final = {
    "run": _bench,
    "call": _call,
    "loss": _loss,
    "load": _load,
    "cost": _cost,
    "latency": _latency,
    "leak": _leak,
    "turns": _many_turns,
    "talk": _talk,
}


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

    run = commands.add_parser(
        "run",
        help="all figures of one call, to services started for it",
        description="Starts the broker and the services with the built-in models, makes one call, stops all again.",
    )
    _common(run, url=None)
    _measured(run)
    _tapped(run)
    _turns(run)
    run.set_defaults(direct=False)

    call = commands.add_parser(
        "call",
        help="one caller, some turns in a row, interruptions at the end",
        description="One caller asks some questions, hears each reply to its end, and interrupts some at the end.",
    )
    _common(call)
    _measured(call)
    _tapped(call)
    _turns(call)
    call.add_argument("--direct", action="store_true", help=_DIRECT)
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
    _seed(call)

    loss = commands.add_parser(
        "loss",
        help="the same conversation without loss, with random loss, and with one packet lost",
        description="Three callers ask the same questions in turn, each over its own network: what do losses cost?",
    )
    _common(loss)
    _tapped(loss)
    loss.add_argument("--turns", type=_positive_int, default=12, metavar="N", help="questions of each (default 12)")
    loss.add_argument(
        "--loss", type=_fraction, default=0.02, metavar="F", help="random loss of the second, both ways (default 0.02)"
    )
    loss.add_argument(
        "--lose-packet",
        type=int,
        default=DEFAULT_PACKET,
        metavar="K",
        help="packet that the third loses, each way, counted from 0 at 50 a second (default %(default)s)",
    )
    _seed(loss)

    load = commands.add_parser(
        "load",
        help="many callers in conversation at once",
        description="Holds conversations side by side and prints what a session costs each service.",
    )
    _common(load)
    _measured(load)
    load.add_argument("--direct", action="store_true", help=_DIRECT)
    load.add_argument("--sessions", type=_positive_int, default=10, metavar="N", help="callers (default 10)")
    load.add_argument(
        "--seconds", type=float, default=60.0, metavar="T", help="how long to measure, with all connected (default 60)"
    )
    load.add_argument("--quiet", action="store_true", help="the callers hear the greeting and then say nothing")

    cost = commands.add_parser(
        "cost",
        help="what a session costs the gateway, without models",
        description="Starts broker, gateway and emulated stages, calls them from another process, and prints the "
        "gateway's CPU per session: with nobody talking, and in conversation.",
    )
    cost.add_argument("--sessions", type=_positive_int, default=10, metavar="N", help="callers (default 10)")
    cost.add_argument("--seconds", type=float, default=60.0, metavar="T", help="of conversation (default 60)")
    cost.add_argument("--quiet-seconds", type=float, default=20.0, metavar="T", help="of silence (default 20)")
    cost.add_argument("--services-file", type=Path, metavar="FILE", help="write pids and addresses here meanwhile")
    cost.add_argument("--json", action="store_true", help="print everything as JSON")

    latency = commands.add_parser(
        "latency",
        help="how fast it answers on emulated services, and beside Pipecat",
        description="Starts emulated services with set delays, broker and services, talks, interrupts, and prints how "
        "long it took to answer and to fall silent. Where Pipecat is installed, it is called the same way afterwards.",
    )
    latency.add_argument("--utterances", type=_positive_int, default=24, metavar="N", help="default %(default)s")
    latency.add_argument(
        "--barge-ins", type=_count, default=8, metavar="N", help="replies to interrupt (default %(default)s)"
    )
    latency.add_argument("--only", choices=["natter", "pipecat"], help="call one of the two")
    latency.add_argument(
        "--install-pipecat", action="store_true", help="bring Pipecat first, if it is not there, into a venv of its own"
    )
    latency.add_argument("--verbose", action="store_true", help="print every turn, too")
    latency.add_argument("--json", action="store_true", help="print everything as JSON")

    leak = commands.add_parser(
        "leak",
        help="what sessions leave behind, without models",
        description="Starts broker, gateway and emulated stages, opens and closes sessions, and compares tasks, "
        "subscriptions, open files, threads, leases and memory with those before.",
    )
    leak.add_argument("--sessions", type=_positive_int, default=1_000, metavar="N", help="sessions (default 1000)")

    turns = commands.add_parser(
        "turns",
        help="what turns leave behind, over emulated vendors",
        description="Starts emulated vendors, broker and services, asks the same short question again and again, and "
        "looks at memory, tasks, open files and sockets in between. Exits with 1 when something grows.",
    )
    turns.add_argument("--turns", type=_at_least_8, default=1_000, metavar="N", help="questions (default 1000)")
    turns.add_argument(
        "--session-turns", type=_count, default=0, metavar="N", help="of one session (default: one session for all)"
    )
    turns.add_argument(
        "--reconnect-every",
        type=_count,
        default=50,
        metavar="M",
        help="turns over one peer connection of a session, 0 for all (default %(default)s)",
    )
    turns.add_argument("--samples", type=_at_least_8, default=20, metavar="N", help="looks taken (default %(default)s)")
    turns.add_argument("--stt", default="deepgram", metavar="PROVIDER", help="default %(default)s")
    turns.add_argument("--llm", default="openai", metavar="PROVIDER", help="default %(default)s")
    turns.add_argument("--tts", default="elevenlabs", metavar="PROVIDER", help="default %(default)s")
    turns.add_argument("--json", action="store_true", help="print everything as JSON")

    talk = commands.add_parser(
        "talk",
        help="does it take its turn, and give way: a set of recorded cases",
        description="Starts the services with the built-in models and plays cases to them: questions, pauses inside a "
        "sentence, small sounds, interruptions, echo. Prints a line a case, and the sums with their targets.",
    )
    talk.add_argument("--kind", type=_kinds, metavar="A,B..", help="kinds of cases, of A to E (default: all)")
    talk.add_argument("--case", metavar="NAME", help="one case, or those whose names begin so")
    talk.add_argument("--keep", type=Path, metavar="FOLDER", help="write what was sent and heard of each case here")
    talk.add_argument("--json", action="store_true", help="print everything as JSON")
    return parser


def _common(parser: argparse.ArgumentParser, url: str | None = DEFAULT_URL) -> None:
    where = f"default {url}" if url else "default: services started for this run"
    parser.add_argument("--url", default=url, help=f"where the gateway answers ({where})")
    parser.add_argument("--bot", help="bot to call (default: the one marked default)")
    parser.add_argument("--voice", choices=["hibari", "espeak"], help="voice of the caller (default: built in)")
    parser.add_argument(
        "--services-file", type=Path, metavar="FILE", help="the services as the local runner wrote them (JSON)"
    )
    parser.add_argument("--json", action="store_true", help="print everything as JSON")


def _measured(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--service",
        action="append",
        default=[],
        metavar="NAME=URL",
        help="a service whose /metrics tell CPU and memory; may be repeated",
    )


def _tapped(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--nats",
        metavar="URL",
        help="the broker, to compare what is heard with what tts made (default: as --services-file says)",
    )
    parser.add_argument("--realm", default=DEFAULT_REALM, help="the services' realm (default %(default)s)")


def _turns(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--turns", type=_positive_int, default=10, metavar="N", help="questions to ask (default 10)")
    parser.add_argument(
        "--barge-ins", type=_count, default=3, metavar="N", help="replies to interrupt at the end (default 3)"
    )


def _seed(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--seed", type=int, default=1, metavar="S", help="the same seed loses the same packets (default 1)"
    )


def _kinds(text: str) -> frozenset[Kind]:
    wanted = {one.strip().upper() for one in text.split(",")}
    if not wanted <= set(KINDS):
        raise argparse.ArgumentTypeError(f"kinds are {', '.join(KINDS)}")
    return frozenset(kind for kind in KINDS if kind in wanted)


def _count(text: str) -> int:
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError("must not be negative")
    return value


def _at_least_8(text: str) -> int:
    value = int(text)
    if value < 8:
        raise argparse.ArgumentTypeError("must be at least 8")
    return value


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
