"""One bot, as its YAML file says it. Every number and text has bounds; every time has its unit in its name."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, PrivateAttr, model_validator
from pydantic_core import PydanticCustomError

from natter_gateway.bots.call import CALL_TEXT_CHARACTERS, CALL_TEXTS, CallSection, CallWords
from natter_gateway.bots.section import FromList, Line, Name, Section, not_blank
from natter_gateway.bots.tools import Tools
from natter_gateway.bots.variables import VariableError, Variables, choose, fill, placeholders
from natter_proto import Stage

AUTO: Final = "auto"
LOCAL: Final = "local"
AUTO_PROVIDERS: Final = {
    Stage.STAGE_VAD: (LOCAL,),
    Stage.STAGE_STT: ("deepgram", "gladia", LOCAL),
    Stage.STAGE_LLM: ("openai", LOCAL),
    Stage.STAGE_TTS: ("elevenlabs", "deepgram", LOCAL),
}
"""What `auto` stands for: the first of these that a worker listens for."""


def _as_names(value: object) -> object:
    """One name is a list of one."""
    return (value,) if isinstance(value, str) else value


def _check_names(names: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(names)) != len(names):
        raise PydanticCustomError("provider_twice", "names a provider twice")
    if AUTO in names and len(names) > 1:
        raise PydanticCustomError("auto_in_list", "is either auto or a list of providers, not both")
    return names


Providers = Annotated[
    tuple[Name, ...],
    FromList,
    BeforeValidator(_as_names),
    Field(min_length=1, max_length=8),
    AfterValidator(_check_names),
]
Language = Annotated[str, Field(pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}$")]
"""A tag such as `en` or `pt-BR` (RFC 5646)."""
ShortText = Annotated[str, Field(min_length=1, max_length=128)]
Keyterm = Annotated[Line, Field(max_length=64), AfterValidator(not_blank)]
_MAX_CHARACTERS: Final = {
    "prompt": 100_000,
    "prompt_small": 4_000,
    "greeting": 1_000,
    **{f"call.{name}": CALL_TEXT_CHARACTERS for name in CALL_TEXTS},
}
"""Of the texts that may have variables in them, as they stand in the file and when they are filled."""


class ContextSection(Section):
    """What the model remembers."""

    max_tokens: Annotated[int, Field(ge=200, le=200_000)] = 2000
    summarize: bool = False
    summary_tokens: Annotated[int, Field(ge=50, le=2_000)] = 200


class VadSection(Section):
    """When sound counts as speech."""

    threshold: Annotated[float, Field(gt=0, lt=1)] = 0.5
    min_speech_duration_ms: Annotated[int, Field(ge=0, le=5_000)] = 250
    min_silence_duration_ms: Annotated[int, Field(ge=50, le=5_000)] = 200
    end_of_turn: Literal["model", "silence"] = "model"


class TurnSection(Section):
    """When the caller has finished, and when what they say is more than a noise."""

    end_of_turn_silence_ms: Annotated[int, Field(ge=50, le=10_000)] = 500
    complete_probability: Annotated[float, Field(ge=0, le=1)] = 0.5
    unsure_silence_ms: Annotated[int, Field(ge=50, le=20_000)] = 900
    silence_limit_ms: Annotated[int, Field(ge=50, le=20_000)] = 1600
    final_grace_ms: Annotated[int, Field(ge=0, le=10_000)] = 300
    interruption_speech_ms: Annotated[int, Field(ge=0, le=5_000)] = 600
    false_alarm_ms: Annotated[int, Field(ge=100, le=5_000)] = 400
    reopen_within_ms: Annotated[int, Field(ge=0, le=5_000)] = 400
    speculation: bool = True
    speculations_per_turn: Annotated[int, Field(ge=1, le=10)] = 3


class _ProviderSection(Section):
    provider: Providers = (AUTO,)
    model: ShortText | None = None

    @model_validator(mode="after")
    def _own_by_provider(self) -> Self:
        for field in ("model", "voice"):
            if getattr(self, field, None) is not None and self.provider == (AUTO,):
                raise PydanticCustomError(
                    "needs_provider",
                    "belongs to one provider: name it in `provider` (the first of several is meant)",
                    {"at": field},
                )
        return self


class SttSection(_ProviderSection):
    """Speech to text."""

    language: Language | None = None
    keyterms: Annotated[tuple[Keyterm, ...], FromList, Field(max_length=100)] = ()
    interim_interval_ms: Annotated[int, Field(ge=100, le=10_000)] = 500


class LlmSection(_ProviderSection):
    """The language model."""

    temperature: Annotated[float, Field(ge=0, le=2)] = 0.7
    max_tokens: Annotated[int, Field(ge=1, le=100_000)] | None = None
    max_sentences: Annotated[int, Field(ge=1, le=1_000)] | None = None
    max_tool_steps: Annotated[int, Field(ge=1, le=20)] = 5
    first_segment: Literal["phrase", "clause", "sentence"] = "phrase"


class TtsSection(_ProviderSection):
    """The voice."""

    language: Language | None = None
    voice: ShortText | None = None
    speed: Annotated[float, Field(ge=0.5, le=2)] = 1.0


class Bot(Section):
    """Someone to talk to. `id` is the name of the file; everything else stands in it."""

    id: Name
    name: Annotated[str, Field(max_length=80), AfterValidator(not_blank)]
    description: Annotated[str, Field(max_length=500)] = ""
    language: Language = "en"
    default: bool = False
    greeting: Annotated[str, Field(max_length=_MAX_CHARACTERS["greeting"])] = ""
    prompt: Annotated[str, Field(max_length=_MAX_CHARACTERS["prompt"]), AfterValidator(not_blank)]
    prompt_small: (
        Annotated[str, Field(max_length=_MAX_CHARACTERS["prompt_small"]), AfterValidator(not_blank)] | None
    ) = None
    variables: Variables = ()
    context: ContextSection = ContextSection()
    vad: VadSection = VadSection()
    turn: TurnSection = TurnSection()
    call: CallSection = CallSection()
    stt: SttSection = SttSection()
    llm: LlmSection = LlmSection()
    tts: TtsSection = TtsSection()
    tools: Tools = ()
    record: Literal["none", "text"] = "none"
    _chosen: dict[str, str] = PrivateAttr(default_factory=dict[str, str])

    @model_validator(mode="after")
    def _turn_after_pause(self) -> Self:
        if self.turn.end_of_turn_silence_ms < self.vad.min_silence_duration_ms:
            raise PydanticCustomError(
                "turn_before_pause",
                "is shorter than vad.min_silence_duration_ms ({pause_ms}): a turn ends with a pause",
                {"at": "turn.end_of_turn_silence_ms", "pause_ms": self.vad.min_silence_duration_ms},
            )
        if self.turn.silence_limit_ms < self.turn.end_of_turn_silence_ms:
            raise PydanticCustomError(
                "limit_before_turn",
                "is shorter than turn.end_of_turn_silence_ms ({silence_ms}), which ends a turn that sounds complete",
                {"at": "turn.silence_limit_ms", "silence_ms": self.turn.end_of_turn_silence_ms},
            )
        return self

    @model_validator(mode="after")
    def _variables_are_declared(self) -> Self:
        known = [variable.name for variable in self.variables]
        for field, text in self._texts().items():
            unknown = [name for name in placeholders(text) if name not in known]
            if unknown:
                raise PydanticCustomError(
                    "undeclared_variable",
                    "uses {names}, which `variables` does not declare",
                    {"names": ", ".join(f"{{{{{name}}}}}" for name in unknown), "at": field},
                )
        return self

    def with_variables(self, values: Mapping[str, object]) -> Bot:
        """This bot for one call, with `{{name}}` filled in its texts.

        Raises `VariableError`: for names that it does not have, those that lack a value, and values that are no text,
        number or truth value, or too long.
        """
        chosen = choose(self.variables, values)
        filled = {field: fill(text, chosen) for field, text in self._texts().items()}
        for field, text in filled.items():
            if len(text) > _MAX_CHARACTERS[field]:
                raise VariableError(f"with these variables {field} is longer than {_MAX_CHARACTERS[field]} characters")
            if not text.strip() and field in ("prompt", "prompt_small"):
                raise VariableError(f"with these variables {field} is empty")
        own = {field: text for field, text in filled.items() if not field.startswith("call.")}
        said = {field.removeprefix("call."): text for field, text in filled.items() if field not in own}
        call = self.call.model_copy(update=said)
        bot = self.model_copy(update={**own, "call": call, "variables": ()})
        bot._chosen = chosen
        return bot

    @property
    def chosen(self) -> Mapping[str, str]:
        """What `with_variables` filled in: given to it again, the same comes of it."""
        return self._chosen

    @property
    def call_words(self) -> CallWords:
        """What the bot says when nobody speaks or the call gets too long; empty texts are not said."""
        return self.call.words(self.language)

    def providers(self, stage: Stage) -> tuple[str, ...]:
        """The providers that may serve `stage`, the one to try first in front; `auto` is resolved by who listens."""
        named = self._providers_named(stage)
        return AUTO_PROVIDERS[stage] if named == (AUTO,) else named

    def prompt_for(self, llm_provider: str) -> str:
        """The system prompt for the llm provider in use: the built-in one gets `prompt_small` where there is one."""
        return self.prompt_small if llm_provider == LOCAL and self.prompt_small is not None else self.prompt

    def settings(self, stage: Stage, provider: str) -> str:
        """`Lease.settings` of `stage` when `provider` serves it: a JSON object."""
        return json.dumps(self._settings(stage, provider), ensure_ascii=False, separators=(",", ":"))

    def _settings(self, stage: Stage, provider: str) -> dict[str, Any]:
        # Names of models and voices mean something to one provider only: the others of a chain use their own defaults.
        own = self._providers_named(stage)[0] == provider
        match stage:
            case Stage.STAGE_VAD:
                return self.vad.model_dump()
            case Stage.STAGE_STT:
                return {
                    "language": self.stt.language or self.language,
                    "model": self.stt.model if own else None,
                    "keyterms": self.stt.keyterms,
                    "interim_interval_ms": self.stt.interim_interval_ms,
                }
            case Stage.STAGE_LLM:
                return {
                    "prompt": self.prompt_for(provider),
                    "model": self.llm.model if own else None,
                    "temperature": self.llm.temperature,
                    "max_tokens": self.llm.max_tokens,
                    "max_sentences": self.llm.max_sentences,
                    "first_segment": self.llm.first_segment,
                    "tools": [tool.executor_settings() for tool in self.tools],
                }
            case Stage.STAGE_TTS:
                return {
                    "language": self.tts.language or self.language,
                    "model": self.tts.model if own else None,
                    "voice": self.tts.voice if own else None,
                    "speed": self.tts.speed,
                }
            case _:
                raise ValueError(f"{stage} is no stage that a bot has settings for")

    def _texts(self) -> dict[str, str]:
        """Fields that may have variables in them, those that the file has."""
        texts = {"prompt": self.prompt, "prompt_small": self.prompt_small, "greeting": self.greeting}
        texts |= {f"call.{name}": text for name, text in self.call.texts().items()}
        return {field: text for field, text in texts.items() if text is not None}

    def _providers_named(self, stage: Stage) -> tuple[str, ...]:
        match stage:
            case Stage.STAGE_STT:
                return self.stt.provider
            case Stage.STAGE_LLM:
                return self.llm.provider
            case Stage.STAGE_TTS:
                return self.tts.provider
            case _:
                return (AUTO,)
