"""Becomes a command that the system kills when its parent ends, however that ends.

Run as a script of its own by `child.py`: a process may only ask this for itself, and Python code between fork and exec
is not safe in a process with threads. Usage: `launch.py PARENT_PID NICENESS COMMAND [ARGUMENT…]`.
"""

import contextlib
import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main() -> None:
    parent, niceness, command = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            # It ended before the request was made.
            os.kill(os.getpid(), signal.SIGKILL)
    os.nice(niceness)
    if niceness and os.getsid(0) == os.getpid():
        # Linux weighs sessions first, if so configured, and a process only against those of its own.
        with contextlib.suppress(OSError), open("/proc/self/autogroup", "w") as file:
            file.write(str(niceness))
    try:
        os.execv(command[0], command)  # noqa: S606 - no shell is wanted
    except OSError as error:
        sys.stderr.write(f"can't run {command[0]}: {error.strerror}\n")
        sys.exit(127)


if __name__ == "__main__":
    main()
