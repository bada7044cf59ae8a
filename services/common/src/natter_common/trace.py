"""W3C trace context, as it rides in text frames (https://www.w3.org/TR/trace-context/)."""

import re
import secrets
from dataclasses import dataclass

_TRACEPARENT = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}")


@dataclass(frozen=True, slots=True)
class Trace:
    """One trace: the whole of a session; each turn is a span in it."""

    trace_id: str
    span_id: str

    @classmethod
    def start(cls) -> "Trace":
        return cls(secrets.token_hex(16), secrets.token_hex(8))

    def child(self) -> "Trace":
        """A new span of the same trace."""
        return Trace(self.trace_id, secrets.token_hex(8))

    @property
    def traceparent(self) -> str:
        return f"00-{self.trace_id}-{self.span_id}-01"


def trace_id_of(traceparent: str) -> str:
    """The trace id in a `traceparent` from outside, or `-` where there is none."""
    match = _TRACEPARENT.fullmatch(traceparent)
    return match.group(1) if match else "-"
