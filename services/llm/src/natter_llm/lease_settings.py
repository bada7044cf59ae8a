"""What a bot may set for this stage, as a lease carries it."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from natter_common.worker import BadLeaseError
from natter_llm.segmenter import FirstSegment
from natter_llm.tools.definition import BotTools


class LlmLeaseSettings(BaseModel):
    """Settings of a session; None leaves it to the provider. Unknown ones are tolerated: a gateway may be newer."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    model: str | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    max_tokens: Annotated[int, Field(ge=1, le=16_384)] | None = None
    max_sentences: Annotated[int, Field(ge=1, le=100)] | None = None
    prompt: Annotated[str, Field(max_length=65_536)] | None = None
    """The system prompt, if the provider should take it into its cache before the first turn."""
    first_segment: FirstSegment = "phrase"
    """How short the piece may be that the voice begins with: shorter is earlier, longer is better intonation."""
    tools: BotTools = ()
    """What the model may call."""


def parse_settings(json_text: str) -> LlmLeaseSettings:
    """Read a lease's settings; raise `BadLeaseError` with words that name the field."""
    try:
        return LlmLeaseSettings.model_validate_json(json_text or "{}")
    except ValidationError as error:
        problems = [f"{'.'.join(map(str, item['loc'])) or 'settings'}: {item['msg']}" for item in error.errors()]
        raise BadLeaseError("bad_settings", f"llm settings: {'; '.join(problems)}") from error
