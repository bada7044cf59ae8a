"""A whole Natter on emulated stages: broker, gateway and workers as real processes, with a bot of its own."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Final

from natter_local.system import GATEWAY, LocalOptions, LocalSystem
from natter_testing.emulated_stages import STAGES

ALL: Final = "stages"
"""Name of the process that hosts all four stages."""
ONE_PROCESS: Final[Mapping[str, int]] = MappingProxyType({GATEWAY: 1, ALL: 1})
BRIEF: Final = ("--sentences", "1", "--letters-per-s", "40")
"""Options of the stages for replies of under two seconds, where a test is about something else."""
BOT: Final = """\
name: Echo
description: Speaks from a script.
default: true
greeting: Hello, I am here.
prompt: You are a script.
"""
_NOTHING: Final[Mapping[str, str]] = MappingProxyType({})
_NOTHING_OF: Final[Mapping[str, Mapping[str, str]]] = MappingProxyType({})


def emulated_system(
    folder: Path,
    *,
    services: Mapping[str, int] = ONE_PROCESS,
    env: Mapping[str, str] = _NOTHING,
    env_of: Mapping[str, Mapping[str, str]] = _NOTHING_OF,
    options: Sequence[str] = (),
    nats_url: str | None = None,
    nats_nodes: int = 1,
    services_file: Path | None = None,
    keep_up: bool = False,
) -> LocalSystem:
    """To be used as `async with emulated_system(folder) as system`.

    `services`: how many of `gateway`, `vad`, `stt`, `llm`, `tts`, and of `stages`, a process with all four. `options`
    are given to each emulated stage (`--first-token-ms 500`). The rest is as in `LocalOptions`.
    """
    bots = folder / "bots"
    bots.mkdir(parents=True, exist_ok=True)
    (bots / "echo.yaml").write_text(BOT)
    program = str(Path(sys.executable).parent / "natter-emulated-stage")
    commands = {stage: [program, stage, *options] for stage in STAGES}
    commands[ALL] = [program, "--all", *options]
    return LocalSystem(
        folder,
        LocalOptions(
            services=services,
            commands=commands,
            env={
                "NATTER_BOTS_DIR": str(bots),
                "NATTER_WEB_DIR": str(folder / "no-page"),
                "NATTER_HTTP_HOST": "127.0.0.1",
                "NATTER_DRAIN_S": "0",
                **env,
            },
            env_of=env_of,
            nats_url=nats_url,
            nats_nodes=nats_nodes,
            services_file=services_file,
            keep_up=keep_up,
            ready_timeout_s=60.0,
        ),
    )
