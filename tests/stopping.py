"""`polypatch` as a process that stops itself (SIGSTOP) at a chosen call, however busy the machine is.

A signal sent at a moment of the clock comes too late on one machine and too early on another. Here the process stands
still inside its n-th call of a function until it is killed, or interrupted and told to go on.
"""

import importlib
import os
import signal
import subprocess
import sys
from functools import reduce

ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}
"""One thread, as in the tests' own process."""
PATIENCE = 300
"""Seconds for a process to end; on an idle machine it needs a few."""


def stopped(words, point, number):
    """`polypatch` with these words, once it stands in its `number`-th call of `point` (``module:attribute``)."""
    command = [sys.executable, __file__, point, str(number), *map(str, words)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT)
    found = os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
    assert found.si_code == os.CLD_STOPPED, process.communicate()
    return process


def signalled(process, number):
    """Send it to a process that stands: (exit code, its standard output, its standard error)."""
    process.send_signal(number)
    process.send_signal(signal.SIGCONT)
    out, err = process.communicate(timeout=PATIENCE)
    return process.returncode, out, err


def stop_at(point, number):
    """From now on this process stops in its `number`-th call of `point`."""
    module, _, path = point.partition(":")
    *owners, name = path.split(".")
    owner = reduce(getattr, owners, importlib.import_module(module))
    own, calls = getattr(owner, name), []

    def counted(*args, **kwargs):
        calls.append(name)
        if len(calls) == number:
            os.kill(os.getpid(), signal.SIGSTOP)
        return own(*args, **kwargs)

    setattr(owner, name, counted)


if __name__ == "__main__":
    stop_at(sys.argv[1], int(sys.argv[2]))
    from polypatch.cli import main

    main(sys.argv[3:])
