"""The command `natter-bench`."""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import json
import sys
from collections.abc import Coroutine, Sequence
from typing import Any, Final, TypeVar

import uvloop

from natter_bench.arguments import arguments_parser
from natter_bench.as_json import call_json, load_json, loss_json
from natter_bench.call import CallOptions, run_call
from natter_bench.caller import Network
from natter_bench.chaos.plan import ChaosOptions
from natter_bench.cost import CostOptions, cost_text, run_cost
from natter_bench.errors import CallError
from natter_bench.latency import LatencyOptions, latency_json, run_latency
from natter_bench.latency_text import latency_text
from natter_bench.leak import leak_text, run_leak
from natter_bench.load import LoadOptions, load_text, run_load
from natter_bench.loss import LosePackets, Loss, NoLoss, RandomLoss
from natter_bench.loss_comparison import LossOptions, compare_losses, loss_text
from natter_bench.opus import OpusError
from natter_bench.own_system import run_on_own_system
from natter_bench.pipecat_system import install_pipecat
from natter_bench.report import call_text
from natter_bench.resources import nats_of, read_services
from natter_bench.speech import SpeechError
from natter_bench.talk.run import TalkOptions, run_talk
from natter_bench.talk.table import talk_json, talk_text
from natter_bench.turns import TurnsOptions, run_turns, turns_text

_T = TypeVar("_T")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; 0 when it could measure, 2 when not (with the reason on stderr), 1 for missed limits and leaks."""
    parsed = arguments_parser().parse_args(arguments)
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


def _chaos(parsed: argparse.Namespace) -> int:
    # They start with the emulators, which a mere client does not have.
    from natter_bench.chaos.run import run_chaos
    from natter_bench.chaos.table import chaos_json, chaos_text

    options = ChaosOptions(
        stages=parsed.stage,
        signals=parsed.signal,
        offsets=parsed.offsets,
        every_ms=parsed.every_ms,
        first_ms=parsed.first_ms,
        built_in=parsed.built_in,
        keep=parsed.keep,
    )
    report = _run(run_chaos(options, say=_say))
    if parsed.json:
        _print_json(chaos_json(report.rows, report.runs))
    else:
        sys.stdout.write(chaos_text(report.rows))
    return 0 if report.met else 1


def _soak(parsed: argparse.Namespace) -> int:
    from natter_bench.chaos.soak import SoakOptions, run_soak
    from natter_bench.chaos.soak_text import soak_json, soak_text

    options = SoakOptions(
        minutes=parsed.minutes,
        calls=parsed.calls,
        kill_every_s=parsed.kill_every_s,
        stages=parsed.stage,
        seed=parsed.seed,
        roll=parsed.roll,
        keep=parsed.keep,
    )
    report = _run(run_soak(options, say=_say))
    if parsed.json:
        _print_json(soak_json(report))
    else:
        sys.stdout.write(soak_text(report))
    return 0 if report.met else 1


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
    "chaos": _chaos,
    "soak": _soak,
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


def _say(words: str) -> None:
    sys.stderr.write(words)
    sys.stderr.flush()


def _print_json(value: Any) -> None:
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")
