"""Settings that every service reads from its environment (or a `.env` file beside it)."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AliasChoices, Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class ServiceSettings(BaseSettings):
    """What any Natter process can be told. Every field is one environment variable."""

    model_config = SettingsConfigDict(env_file=".env", env_prefix="NATTER_", extra="ignore", populate_by_name=True)

    nats_url: Annotated[str, Field(validation_alias=AliasChoices("NATS_URL", "nats_url"))] = "nats://127.0.0.1:4222"
    """One address, or several with commas between."""
    realm: str = "main"
    http_host: str = "0.0.0.0"  # noqa: S104 - services are reached from other hosts; narrow it with NATTER_HTTP_HOST
    http_port: Annotated[int, Field(ge=0, le=65535)] = 0
    """0 picks a free port and logs it."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_file: Path | None = None
    """Also log to this file, a new one each day, a week kept."""
    log_format: Literal["json", "console"] = "json"

    @property
    def nats_servers(self) -> list[str]:
        return [url.strip() for url in self.nats_url.split(",") if url.strip()]


class WorkerSettings(ServiceSettings):
    """What a worker of a stage can be told beside."""

    capacity: Annotated[int, Field(ge=1, le=10_000)] = 50
    """New sessions that one worker takes; takeovers may fill a quarter more."""
    drain_s: Annotated[float, Field(ge=0, le=600)] = 25.0
    """After SIGTERM: how long sessions in progress may go on."""
