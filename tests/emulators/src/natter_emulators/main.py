"""`natter-emulators`: the emulated services on ports of this machine, for benches and for people without keys."""

from __future__ import annotations

import argparse
import asyncio
import json
import shlex
import signal
import sys
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Final

from natter_emulators.emulators import SERVICES, Emulators
from natter_emulators.script import Delays

_DESCRIPTION: Final = """\
Emulates the services of Deepgram, Gladia, ElevenLabs and OpenAI at the wire, for their own SDKs.

Recognition hears only speech whose words are marked (natter_emulators.marks), voices speak with such marks, and the
language model says a few fixed sentences. Nothing leaves this machine."""
_EPILOG: Final = """\
What is printed is the environment for Natter's services:

  natter-emulators --port 9100 --env-file emulators.env &
  set -a; . ./emulators.env; set +a; make up"""
_DELAY_HELP: Final = {
    "interim_ms": "how far interim results trail the audio",
    "final_ms": "from a finalize, or the end of speech, to the final",
    "first_token_ms": "from a chat request to its first token",
    "tokens_per_s": "of the language model, after the first",
    "first_audio_ms": "from a text to its first voice",
    "audio_speed": "seconds of voice sent in a second, after the first",
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Console script."""
    parsed = _parser().parse_args(arguments)
    ports = {name: port for name in SERVICES if (port := getattr(parsed, f"{name}_port")) is not None}
    delays = Delays(**{name: getattr(parsed, name) for name in _DELAY_HELP})
    emulators = Emulators(
        delays=delays, host=parsed.host, port=parsed.port, ports=ports, key=parsed.key, strict=parsed.strict
    )
    try:
        asyncio.run(_run(emulators, parsed.env_file, as_json=parsed.json))
    except OSError as error:
        raise SystemExit(f"natter-emulators: {error}") from error


async def _run(emulators: Emulators, env_file: Path | None, *, as_json: bool) -> None:
    """Serve until SIGINT or SIGTERM."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with emulators:
        _tell(emulators.environment(), env_file, as_json=as_json)
        await stop.wait()


def _tell(environment: dict[str, str], env_file: Path | None, *, as_json: bool) -> None:
    lines = "".join(f"{name}={shlex.quote(value)}\n" for name, value in environment.items())
    if env_file is not None:
        env_file.write_text(lines)
    sys.stdout.write(json.dumps(environment) + "\n" if as_json else lines)
    sys.stdout.flush()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "natter-emulators",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    where = parser.add_argument_group("where")
    where.add_argument("--host", default="127.0.0.1", help="address to listen on (default %(default)s)")
    where.add_argument("--port", type=int, default=0, help="for all services (default: a free one)")
    for name in SERVICES:
        where.add_argument(f"--{name}-port", type=int, metavar="PORT", help=f"for {name} alone (0: a free one)")
    where.add_argument("--key", default="emulator-key", help="the API key that is right (default %(default)s)")
    how_fast = parser.add_argument_group("how fast")
    for field in fields(Delays):
        how_fast.add_argument(
            f"--{field.name.replace('_', '-')}",
            type=_positive if isinstance(field.default, float) else _not_negative,
            default=field.default,
            metavar="N",
            help=f"{_DELAY_HELP[field.name]} (default %(default)s)",
        )
    what = parser.add_argument_group("what")
    what.add_argument(
        "--strict", action="store_true", help="voices refuse words that have no mark, instead of speaking them unmarked"
    )
    what.add_argument("--json", action="store_true", help="print the environment as one line of JSON")
    what.add_argument("--env-file", type=Path, metavar="FILE", help="write the environment there, too")
    return parser


def _not_negative(text: str) -> int:
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"{text} is negative")
    return value


def _positive(text: str) -> float:
    value = float(text)
    if value <= 0:
        raise argparse.ArgumentTypeError(f"{text} is not positive")
    return value


if __name__ == "__main__":
    main()
