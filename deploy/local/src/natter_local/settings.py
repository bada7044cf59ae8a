"""What the runner itself reads from the environment or `.env`; everything else is passed on to the services."""

from pathlib import Path
from typing import Annotated, Final

from pydantic import AfterValidator, AliasChoices, Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from natter_local.nats_nodes import NODE_COUNTS

DEFAULT_PORT: Final = 7860
_SOURCE_ROOT: Final = Path(__file__).resolve().parents[4]


def _node_count(count: int) -> int:
    if count not in NODE_COUNTS:
        raise ValueError(f"a broker has {' or '.join(map(str, NODE_COUNTS))} nodes")
    return count


class LocalSettings(BaseSettings):
    """Settings of `natter-local`. Every field is one environment variable."""

    model_config = SettingsConfigDict(env_prefix="NATTER_", extra="ignore", populate_by_name=True)

    nats_url: Annotated[str | None, Field(validation_alias=AliasChoices("NATS_URL", "nats_url"))] = None
    """A broker that runs already; without it one is started."""
    nats_nodes: Annotated[int, AfterValidator(_node_count)] = 1
    """Nodes of the broker that is started."""
    port: Annotated[int | None, Field(ge=1, le=65535, validation_alias=AliasChoices("FAST_API_PORT", "port"))] = None
    """Of the page and the API; without it 7860, or the next free one."""
    http_host: str = ""
    bots_dir: Path = Path("bots")
    web_dir: Path = Path("web/dist")
    log_file: Path | None = None
    """Each service writes its own beside it: `natter.log` becomes `natter-stt.log`."""
    log_format: str = "console"
    drain_s: float = 2.0
    """After Ctrl-C: how long conversations may go on."""
    services_file: Path = Path("var/run/services.json")
    """Addresses and pids of everything, while it is up."""


def project_root() -> Path:
    """Where `bots/` and `web/` are: the working directory if it has bots, else the source tree that this runs from."""
    here = Path.cwd()
    return _SOURCE_ROOT if not (here / "bots").is_dir() and (_SOURCE_ROOT / "bots").is_dir() else here


def read_settings(root: Path) -> LocalSettings:
    """The settings, with `.env` of `root` behind the environment. Raises pydantic's ValidationError."""
    return LocalSettings(_env_file=root / ".env")  # pyright: ignore[reportCallIssue] - known to pydantic-settings only
