"""`natter-emulated-stage`: workers of the four stages without models, for tests and for measuring the gateway."""

import argparse
import asyncio
import dataclasses
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from natter_common.http import Health, serve, service_app
from natter_common.service import Service, run_service
from natter_common.settings import WorkerSettings
from natter_common.worker import StageDefinition, Worker
from natter_proto import new_id, stage_name
from natter_testing.emulated import llm, stt, tts, vad
from natter_testing.emulated.script import Pace

STAGES: Final = ("vad", "stt", "llm", "tts")
_DESCRIPTION: Final = "A worker of a stage without a model: it speaks the real frames and says what its script says."


def main(arguments: Sequence[str] | None = None) -> None:
    """Console script."""
    parsed = _parser().parse_args(arguments)
    stages = STAGES if parsed.all else tuple(dict.fromkeys(parsed.stage))
    if not stages:
        raise SystemExit("natter-emulated-stage: name a stage, or --all")
    pace = Pace(
        transcription_ms=parsed.transcription_ms,
        first_token_ms=parsed.first_token_ms,
        words_per_s=parsed.words_per_s,
        sentences=parsed.sentences,
        first_audio_ms=parsed.first_audio_ms,
        letters_per_s=parsed.letters_per_s,
    )
    run_service("testing", WorkerSettings, _body([definition(stage, pace) for stage in stages]), _DESCRIPTION, ())


def definition(stage: str, pace: Pace | None = None) -> StageDefinition:
    """The emulation of one of `STAGES`, as a `Worker` takes it."""
    pace = pace or Pace()
    return {
        "vad": vad.definition,
        "stt": lambda: stt.definition(pace),
        "llm": lambda: llm.definition(pace),
        "tts": lambda: tts.definition(pace),
    }[stage]()


def _body(definitions: Sequence[StageDefinition]) -> Callable[[Service, WorkerSettings], Awaitable[None]]:
    async def body(service: Service, settings: WorkerSettings) -> None:
        # Each a worker of its own, with its own id; what they share is the process and its link.
        workers = {
            stage_name(one.stage): Worker(dataclasses.replace(service, process_id=new_id()), one, settings)
            for one in definitions
        }

        def probe() -> Health:
            healths = {name: worker.health() for name, worker in workers.items()}
            return Health(
                service.version,
                sum(health.sessions for health in healths.values()),
                settings.capacity,
                tuple(dict.fromkeys(reason for health in healths.values() for reason in health.not_ready)),
                {"emulated": {name: health.sessions for name, health in healths.items()}},
            )

        async with (
            asyncio.TaskGroup() as tasks,
            serve(service_app(service.metrics, probe), settings.http_host, settings.http_port, service.log),
        ):
            serving = [tasks.create_task(worker.serve(), name=f"worker-{name}") for name, worker in workers.items()]
            await asyncio.wait(serving)

    return body


def _stage(text: str) -> str:
    if text not in STAGES:
        raise argparse.ArgumentTypeError(f"{text!r} is none of {', '.join(STAGES)}")
    return text


def _parser() -> argparse.ArgumentParser:
    pace = Pace()
    parser = argparse.ArgumentParser(
        prog="natter-emulated-stage",
        description=_DESCRIPTION,
        epilog="Address of the broker, realm, ports and capacity come from the environment, as for any worker: "
        "NATS_URL, NATTER_REALM, NATTER_HTTP_PORT, NATTER_CAPACITY.",
    )
    parser.add_argument("stage", nargs="*", type=_stage, help=f"of {', '.join(STAGES)}: each as a worker of its own")
    parser.add_argument("--all", action="store_true", help="all four in this process")
    parser.add_argument("--transcription-ms", type=int, default=pace.transcription_ms, metavar="MS")
    parser.add_argument("--first-token-ms", type=int, default=pace.first_token_ms, metavar="MS")
    parser.add_argument("--words-per-s", type=float, default=pace.words_per_s, metavar="N")
    parser.add_argument("--sentences", type=int, default=pace.sentences, metavar="N", help="in a reply")
    parser.add_argument("--first-audio-ms", type=int, default=pace.first_audio_ms, metavar="MS")
    parser.add_argument("--letters-per-s", type=float, default=pace.letters_per_s, metavar="N", help="of the voice")
    return parser


if __name__ == "__main__":
    main()
