"""The arguments of the command `natter-bench`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Final

from natter_bench.chaos.plan import SIGNALS, STAGES, STRUCK
from natter_bench.loss_comparison import DEFAULT_PACKET
from natter_bench.talk.cases import KINDS, Kind
from natter_bench.tap import DEFAULT_REALM

DEFAULT_URL: Final = "http://127.0.0.1:7860"
_DIRECT: Final = "offer straight to /api/offer, without /start"


def arguments_parser() -> argparse.ArgumentParser:
    """Of all commands."""
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

    chaos = commands.add_parser(
        "chaos",
        help="what a caller notices when a worker dies, at every 200 ms of a turn",
        description="Starts services with a spare worker, calls them, and kills, stops or drains the worker that "
        "serves the call, each time 200 ms later. Counts words lost and doubled, silence added and turns missed. Exits "
        "with 1 when a limit is missed.",
    )
    chaos.add_argument(
        "--stage", type=_struck, default=STRUCK, metavar="A,B..", help=f"of {', '.join(STRUCK)} (default: all)"
    )
    chaos.add_argument("--signal", type=_signals, default=tuple(SIGNALS), metavar="A,B..", help="KILL, STOP, TERM")
    chaos.add_argument("--offsets", type=_positive_int, default=25, metavar="N", help="kills of each (default 25)")
    chaos.add_argument(
        "--every-ms", type=_positive_int, default=200, metavar="MS", help="from one to the next (default 200)"
    )
    chaos.add_argument(
        "--first-ms", type=_count, default=0, metavar="MS", help="the first, from where the caller begins (default 0)"
    )
    models = chaos.add_mutually_exclusive_group()
    models.add_argument("--emulated", action="store_true", help="emulated vendors, whose words are counted (default)")
    models.add_argument(
        "--built-in", action="store_true", help="built-in models, judged by word error rate and segments"
    )
    chaos.add_argument(
        "--keep", type=Path, metavar="FOLDER", help="timeline and sound of each call, logs of the services"
    )
    chaos.add_argument("--json", action="store_true", help="print everything as JSON")

    soak = commands.add_parser(
        "soak",
        help="callers on emulated vendors for half an hour, while workers are killed at random",
        description="Holds conversations side by side and kills a random worker now and then, with a spare of each. "
        "Prints missed turns, words lost and doubled, and how memory, tasks and subscriptions of every process went. "
        "Exits with 1 when a turn was missed, a word lost or doubled, or something grew.",
    )
    soak.add_argument("--minutes", type=float, default=30.0, metavar="T", help="default %(default)s")
    soak.add_argument("--calls", type=_positive_int, default=8, metavar="N", help="default %(default)s")
    soak.add_argument(
        "--kill-every-s", type=_not_negative, default=20.0, metavar="T", help="0 kills nothing (default %(default)s)"
    )
    soak.add_argument(
        "--roll", action="store_true", help="instead of kills, replace all stages in turn, again and again"
    )
    soak.add_argument("--stage", type=_stages, default=STAGES, metavar="A,B..", help="to kill (default: all four)")
    soak.add_argument("--keep", type=Path, metavar="FOLDER", help="the services' logs")
    soak.add_argument("--json", action="store_true", help="print everything as JSON")
    soak.add_argument("--seed", type=int, default=1, metavar="S", help="the same seed kills the same (default 1)")
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


def _stages(text: str) -> tuple[str, ...]:
    return _some_of(text.lower(), STAGES, "stages")


def _struck(text: str) -> tuple[str, ...]:
    return _some_of(text.lower(), STRUCK, "stages")


def _signals(text: str) -> tuple[str, ...]:
    return _some_of(text.upper().replace("SIG", ""), tuple(SIGNALS), "signals")


def _some_of(text: str, known: tuple[str, ...], what: str) -> tuple[str, ...]:
    wanted = {one.strip() for one in text.split(",")}
    if not wanted <= set(known):
        raise argparse.ArgumentTypeError(f"{what} are {', '.join(known)}")
    return tuple(one for one in known if one in wanted)


def _not_negative(text: str) -> float:
    value = float(text)
    if not value >= 0:
        raise argparse.ArgumentTypeError("must not be negative")
    return value


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
