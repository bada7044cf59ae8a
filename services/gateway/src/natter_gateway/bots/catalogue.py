"""The bots as callers see them: which there are, and what each would really use now."""

import asyncio
from collections.abc import Sequence
from typing import Any, Final

from natter_common.link import LinkDownError
from natter_gateway.bots.loader import Bots
from natter_gateway.bots.model import Bot
from natter_gateway.leases.broker import LeaseBroker
from natter_proto import Stage, stage_name

_KEPT_S: Final = 2.0
_STAGES: Final = (Stage.STAGE_VAD, Stage.STAGE_STT, Stage.STAGE_LLM, Stage.STAGE_TTS)

_Question = tuple[Stage, tuple[str, ...]]


class BotCatalogue:
    """Answers are kept for two seconds: asking costs a message to every worker."""

    def __init__(self, bots: Bots, broker: LeaseBroker) -> None:
        self._bots = bots
        self._broker = broker
        self._answers: dict[_Question, tuple[float, dict[str, Any]]] = {}

    def get(self, bot_id: str | None) -> Bot:
        """The bot of that id, the default one for None; raises `UnknownBotError`."""
        return self._bots.default if bot_id is None else self._bots.get(bot_id)

    async def describe(self) -> list[dict[str, Any]]:
        """Every bot for `/api/bots`; a stage that nobody can serve has `"provider": null`, and why in `detail`.

        `note` says what is wrong with a provider that was passed over for the one in use.
        """
        questions = {(stage, tuple(bot.providers(stage))) for bot in self._bots for stage in _STAGES}
        await asyncio.gather(*(self._ask(*question) for question in questions))
        return [
            {
                "id": bot.id,
                "name": bot.name,
                "description": bot.description,
                "language": bot.language,
                "default": bot.id == self._bots.default.id,
                "greeting": bot.greeting,
                "tools": [tool.name for tool in bot.tools],
                "variables": [
                    {"name": variable.name, "default": variable.default, "required": variable.required}
                    for variable in bot.variables
                ],
                "stages": {
                    stage_name(stage): self._answers[stage, tuple(bot.providers(stage))][1] for stage in _STAGES
                },
            }
            for bot in self._bots
        ]

    async def _ask(self, stage: Stage, providers: Sequence[str]) -> None:
        key = (stage, tuple(providers))
        now = asyncio.get_running_loop().time()
        known = self._answers.get(key)
        if known is not None and now - known[0] < _KEPT_S:
            return
        try:
            found = await self._broker.has_room(stage, providers)
        except LinkDownError:
            found = None
        if found is None:
            answer = {"provider": None, "detail": self._broker.problem(stage, providers) or "no worker with room"}
        else:
            provider, detail = found
            answer = {"provider": provider, "detail": detail}
            passed_over = self._broker.problem(stage, providers[: providers.index(provider)])
            if passed_over is not None:
                answer["note"] = passed_over
        self._answers[key] = (now, answer)
