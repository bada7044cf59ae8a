"""Lines on the terminal."""

import io

import pytest

from natter_local.console import Console


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class ClosedPipe(io.StringIO):
    def write(self, _text: str) -> int:
        raise BrokenPipeError


def test_prefixes_are_aligned() -> None:
    out = io.StringIO()
    console = Console(out, ("gateway", "stt"))
    console.on_line("stt", "a")
    console.on_line("gateway", "b")
    console.on_event("stt", "ready")
    assert out.getvalue() == "stt     | a\ngateway | b\nnatter  | stt: ready\n"


def test_colours_on_a_terminal_unless_unwanted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    coloured = Terminal()
    Console(coloured, ("stt",)).on_line("stt", "a")
    assert coloured.getvalue() == "\x1b[36mstt    | \x1b[0ma\n"
    second = Terminal()
    Console(second, ("stt",)).on_line("stt-2", "a")
    assert second.getvalue() == "\x1b[36mstt-2  | \x1b[0ma\n"
    monkeypatch.setenv("NO_COLOR", "1")
    plain = Terminal()
    Console(plain, ("stt",)).on_line("stt", "a")
    assert plain.getvalue() == "stt    | a\n"


def test_log_lines_lose_what_the_prefix_says_already() -> None:
    out = io.StringIO()
    console = Console(out, ("vad",))
    line = "2026-11-23T02:34:56.213025Z [info     ] lease taken  process=5e9535446a32d3f7 service=vad"
    line += " session=s1 trace_id=- turn=-"
    console.on_line("vad", line)
    console.on_line("vad", "Traceback service=vad turn=-")
    assert out.getvalue() == (
        "vad    | 02:34:56.213 [info     ] lease taken session=s1\nvad    | Traceback service=vad turn=-\n"
    )


def test_the_brokers_chatter_is_left_out() -> None:
    out = io.StringIO()
    console = Console(out, ("nats",))
    console.on_line("nats", "[1] 2026/11/23 02:00:00 [INF] Server is ready")
    console.on_line("nats-2", "[1] 2026/11/23 02:00:00 [INF] Server is ready")
    console.on_line("nats", "[1] 2026/11/23 02:00:00 [ERR] disk full")
    assert out.getvalue() == "nats   | [1] 2026/11/23 02:00:00 [ERR] disk full\n"


def test_a_reader_that_is_gone_stops_nothing() -> None:
    console = Console(ClosedPipe(), ("stt",))
    console.on_line("stt", "a")
    console.say("b")
