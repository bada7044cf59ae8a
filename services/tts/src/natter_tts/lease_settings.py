"""What a bot may set for this stage, as a lease carries it."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from natter_common.worker import BadLeaseError
from natter_tts.provider import TtsSettings


class TtsLeaseSettings(BaseModel):
    """Settings of a session; None leaves it to the provider. Unknown ones are tolerated: a gateway may be newer."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    voice: str | None = None
    model: str | None = None
    speed: Annotated[float, Field(ge=0.5, le=2.0)] = 1.0
    language: str | None = None


def parse_settings(json_text: str) -> TtsSettings:
    """Read a lease's settings; raise `BadLeaseError` with words that name the field."""
    try:
        settings = TtsLeaseSettings.model_validate_json(json_text or "{}")
    except ValidationError as error:
        problems = [f"{'.'.join(map(str, item['loc'])) or 'settings'}: {item['msg']}" for item in error.errors()]
        raise BadLeaseError("bad_settings", f"tts settings: {'; '.join(problems)}") from error
    return TtsSettings(settings.voice or "", settings.speed, settings.language or "en", settings.model or "")
