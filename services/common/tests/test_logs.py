"""Log lines: one JSON object each, with session, turn and trace id, on the console and in the file."""

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from natter_common.logs import configure_logs
from natter_common.settings import ServiceSettings
from natter_common.trace import Trace, trace_id_of


@pytest.fixture(autouse=True)
def restored_logging() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    for handler in root.handlers:
        handler.close()
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def lines(file: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_every_line_has_session_turn_and_trace_id(tmp_path: Path) -> None:
    file = tmp_path / "logs" / "stt.log"
    log = configure_logs("stt", ServiceSettings(log_file=file))
    log.info("worker ready")
    log.bind(session="abc", turn=3, trace_id="f00").warning("late")
    logging.getLogger("some.library").warning("of a library")
    first, second, third = lines(file)
    assert (first["event"], first["session"], first["turn"], first["trace_id"]) == ("worker ready", "-", "-", "-")
    assert (second["session"], second["turn"], second["trace_id"]) == ("abc", 3, "f00")
    assert (second["level"], second["service"]) == ("warning", "stt")
    assert third["event"] == "of a library"


def test_debug_lines_are_written_only_when_asked_for(tmp_path: Path) -> None:
    file = tmp_path / "quiet.log"
    configure_logs("stt", ServiceSettings(log_file=file)).debug("words of a caller")
    assert lines(file) == []
    loud = tmp_path / "loud.log"
    configure_logs("stt", ServiceSettings(log_file=loud, log_level="debug")).debug("words of a caller")
    assert lines(loud)[0]["event"] == "words of a caller"


def test_traces_cross_services_as_traceparent() -> None:
    trace = Trace.start()
    assert trace_id_of(trace.child().traceparent) == trace.trace_id
    assert trace_id_of("nonsense") == "-"
