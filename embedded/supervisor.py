"""`python -m embedded.supervisor ARGUMENT …`: run Python with these arguments, and again, until SIGTERM."""

from __future__ import annotations

import logging
import signal
import sys
import threading

from execution.process import Sidecar

log = logging.getLogger(__name__)

_LOOK_SECONDS = 1.0
_GRACE_SECONDS = 8.0
"""Time in which it may end after SIGTERM: less than the supervisor has itself (`Service.grace_seconds`)."""


def supervise(argv: list[str]) -> None:
    """Run a program until this process gets SIGTERM or SIGINT, which ends the program first."""
    over = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: over.set())
    program = Sidecar(argv)
    while not over.is_set():
        if program.ensure_running():
            log.warning("started, process %s", program.pid)
        over.wait(_LOOK_SECONDS)
    program.close(grace_seconds=_GRACE_SECONDS)


if __name__ == "__main__":
    logging.basicConfig(format="%(asctime)s supervisor: %(message)s")
    supervise([sys.executable, *sys.argv[1:]])
