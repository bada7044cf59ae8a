"""Structured logs: one line an event, always with session, turn and trace id.

Code binds what it knows (`log.bind(session=…, turn=…)`); what is unknown is written as `-`. A caller's words and keys
are never logged above debug level.
"""

import logging
import logging.handlers
import sys
from typing import Any, TextIO

import orjson
import structlog
from structlog.typing import EventDict, FilteringBoundLogger, WrappedLogger

from natter_common.settings import ServiceSettings

Log = FilteringBoundLogger

_KEPT_DAYS = 7
_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


def configure_logs(service: str, settings: ServiceSettings) -> Log:
    """Set up logging for this process and return its logger. Libraries' own logs pass through the same lines."""
    processors: list[Any] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        _Stamp(service),
    ]
    stdlib_formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=processors,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, _renderer("json", sys.stderr)],
    )
    console_formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=processors,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            _renderer(settings.log_format, sys.stderr),
        ],
    )
    stream = logging.StreamHandler(sys.stderr)
    stream.setFormatter(console_formatter)
    handlers: list[logging.Handler] = [stream]
    if settings.log_file is not None:
        settings.log_file.parent.mkdir(parents=True, exist_ok=True)
        file = logging.handlers.TimedRotatingFileHandler(
            settings.log_file, when="midnight", backupCount=_KEPT_DAYS, utc=True, encoding="utf-8"
        )
        file.setFormatter(stdlib_formatter)
        handlers.append(file)
    level = _LEVELS[settings.log_level]
    logging.basicConfig(level=level, handlers=handlers, force=True)
    # Libraries speak of every packet and request at info level.
    for library in (
        "aioice",
        "aiortc",
        "httpx",
        "httpx2",
        "httpcore2",
        "mcp",
        "nats",
        "openai",
        "uvicorn",
        "websockets",
    ):
        logging.getLogger(library).setLevel(max(level, logging.WARNING))
    # Its words on what it can't parse quote what a server wrote.
    logging.getLogger("mcp.client").setLevel(logging.CRITICAL)
    structlog.configure(
        processors=[*processors, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    return structlog.get_logger("natter")


class _Stamp:
    """Adds what every line has to have."""

    def __init__(self, service: str) -> None:
        self._service = service

    def __call__(self, _logger: WrappedLogger, _method: str, line: EventDict) -> EventDict:
        line["service"] = self._service
        for key in ("session", "turn", "trace_id"):
            line.setdefault(key, "-")
        return line


def _renderer(kind: str, stream: TextIO) -> Any:
    if kind == "json":
        return structlog.processors.JSONRenderer(serializer=_dump)
    return structlog.dev.ConsoleRenderer(colors=stream.isatty(), pad_event_to=30)


def _dump(line: EventDict, default: Any) -> str:
    return orjson.dumps(line, default=default).decode()
