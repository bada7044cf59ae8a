"""TCP ports of this machine."""

import contextlib
import errno
import socket
from typing import Final

_LAST_PORT: Final = 65535
_TRIED: Final = 100


class NoPortError(RuntimeError):
    """The port that was asked for is taken, or none is free."""


def free_port() -> int:
    """A TCP port on loopback that nobody listens on now."""
    return free_ports(1)[0]


def free_ports(count: int) -> list[int]:
    """Different TCP ports on loopback that nobody listens on now."""
    with contextlib.ExitStack() as held:
        probes = [held.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]


def is_free(port: int, host: str = "") -> bool:
    """Whether a server could listen there now (`host` empty: on every address)."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno in (errno.EADDRINUSE, errno.EACCES):
                return False
            raise
        return True


def next_free(port: int, host: str = "") -> int:
    """`port`, or the next one after it that is free."""
    for candidate in range(port, min(port + _TRIED, _LAST_PORT + 1)):
        if is_free(candidate, host):
            return candidate
    raise NoPortError(f"no port from {port} on is free")
