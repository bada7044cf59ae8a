"""Settings of the gateway."""

from pathlib import Path
from typing import Annotated, Any, Final

import orjson
from pydantic import AliasChoices, BaseModel, Field, field_validator
from pydantic_settings import NoDecode

from natter_common.settings import ServiceSettings

DEFAULT_PORT: Final = 7860


class IceServer(BaseModel):
    """A STUN or TURN server, as browsers write it."""

    urls: str | list[str]
    username: str | None = None
    credential: str | None = None


class GatewaySettings(ServiceSettings):
    """What the gateway can be told."""

    http_port: Annotated[int, Field(ge=0, le=65535, validation_alias=AliasChoices("FAST_API_PORT", "http_port"))] = (
        DEFAULT_PORT
    )
    bots_dir: Path = Path("bots")
    web_dir: Path = Path("web/dist")
    """The built page; without it the gateway serves its API alone."""
    max_sessions: Annotated[int, Field(ge=1, le=10_000)] = 100
    ice_servers: Annotated[tuple[IceServer, ...], NoDecode] = ()
    """A JSON list of STUN and TURN servers, handed to callers and used by the gateway itself."""
    reconnect_grace_s: Annotated[float, Field(ge=0, le=600)] = 75.0
    """A session outlives its lost connection for this long; pages try for a minute to get it back."""
    drain_s: Annotated[float, Field(ge=0, le=600)] = 20.0
    """After SIGTERM: how long conversations may go on."""

    journal_days: Annotated[float, Field(gt=0, le=3_650)] = 7.0
    """Journals of conversations are kept for so many days."""
    journal_max_bytes: Annotated[int, Field(ge=16 * 1024 * 1024)] = 1024 * 1024 * 1024
    """Of all journals together: over it the oldest go."""

    @field_validator("ice_servers", mode="before")
    @classmethod
    def _parse_ice_servers(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        try:
            return orjson.loads(value) if value.strip() else []
        except orjson.JSONDecodeError as error:
            raise ValueError('a JSON list is expected, as [{"urls": "stun:stun.example.org"}]') from error
