"""Find and load libopus, and declare the few of its functions that the gateway calls.

The library that PyAV's wheel bundles is preferred (it is there wherever aiortc is), then the system's `libopus0`.
It is loaded as a `PyDLL`: the calls take 10–150 µs, and giving the GIL away for so little would let any other thread
keep the event loop waiting for up to the interpreter's switch interval (5 ms) before it gets back.

Source: the Opus API (opus-codec.org), `opus.h` and `opus_defines.h`.
"""

import ctypes
import ctypes.util
import importlib.util
from collections.abc import Iterator
from pathlib import Path

OK = 0
APPLICATION_VOIP = 2048
SET_BITRATE = 4002
SET_COMPLEXITY = 4010
SET_INBAND_FEC = 4012
SET_PACKET_LOSS_PERC = 4014
SET_SIGNAL = 4024
RESET_STATE = 4028
SIGNAL_VOICE = 3001


class OpusError(Exception):
    """libopus refused a call; the message carries its own words (for a decoder: the payload is not Opus)."""


class OpusUnavailableError(RuntimeError):
    """No libopus could be loaded: neither the one in PyAV's wheel nor one of the system."""


def _candidates() -> Iterator[str]:
    spec = importlib.util.find_spec("av")
    if spec is not None and spec.origin is not None:
        package = Path(spec.origin).parent
        for folder in (package.parent / "av.libs", package / ".dylibs"):
            yield from (str(path) for path in sorted(folder.glob("libopus*")))
    found = ctypes.util.find_library("opus")
    if found:
        yield found
    yield "libopus.so.0"


def _load() -> ctypes.PyDLL:
    failures: list[str] = []
    for name in _candidates():
        try:
            return ctypes.PyDLL(name)
        except OSError as error:
            failures.append(f"{name}: {error}")
    raise OpusUnavailableError(
        "libopus not found; install PyAV's wheel or libopus0 (tried " + "; ".join(failures) + ")"
    )


library = _load()

_int, _int32, _pointer, _bytes = ctypes.c_int, ctypes.c_int32, ctypes.c_void_p, ctypes.c_char_p

library.opus_strerror.argtypes = [_int]
library.opus_strerror.restype = _bytes
library.opus_get_version_string.argtypes = []
library.opus_get_version_string.restype = _bytes

library.opus_decoder_get_size.argtypes = [_int]
library.opus_decoder_get_size.restype = _int
library.opus_decoder_init.argtypes = [_pointer, _int32, _int]
library.opus_decoder_init.restype = _int
library.opus_decode.argtypes = [_pointer, _bytes, _int32, _pointer, _int, _int]
library.opus_decode.restype = _int

library.opus_encoder_get_size.argtypes = [_int]
library.opus_encoder_get_size.restype = _int
library.opus_encoder_init.argtypes = [_pointer, _int32, _int, _int]
library.opus_encoder_init.restype = _int
# Two signatures of one function: immutable bytes go in as they are, a preallocated buffer by its address.
opus_encode_bytes = ctypes.PYFUNCTYPE(_int32, _pointer, _bytes, _int, _pointer, _int32)(("opus_encode", library))
opus_encode_buffer = ctypes.PYFUNCTYPE(_int32, _pointer, _pointer, _int, _pointer, _int32)(("opus_encode", library))

# Variadic in C. Only the fixed arguments are declared: that is how ctypes knows which ones are variadic, and those
# travel differently on some arm64 systems. What follows must be passed as an explicit `c_int32`.
library.opus_encoder_ctl.argtypes = [_pointer, _int]
library.opus_encoder_ctl.restype = _int
library.opus_decoder_ctl.argtypes = [_pointer, _int]
library.opus_decoder_ctl.restype = _int


def check(code: int) -> int:
    """Return `code` if it is no error (≥ 0), else raise `OpusError` with the library's words."""
    if code < 0:
        raise OpusError(f"{library.opus_strerror(code).decode()} ({code})")
    return code


def version() -> str:
    """The loaded library's name and version, such as `libopus 1.5.2`."""
    return library.opus_get_version_string().decode()
