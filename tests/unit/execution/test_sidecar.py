from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from execution.process import Sidecar

STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); open({0!r}, 'w'); time.sleep(600)"


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def pid_of(sidecar: Sidecar) -> int:
    assert sidecar.pid is not None
    return sidecar.pid


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


@pytest.fixture
def sidecar() -> Iterator[Sidecar]:
    sidecar = Sidecar(["sleep", "600"])
    yield sidecar
    sidecar.close(grace_seconds=0)


def test_it_is_started_once_and_again_when_it_was_killed(sidecar: Sidecar) -> None:
    assert sidecar.ensure_running()
    assert not sidecar.ensure_running()
    os.kill(pid_of(sidecar), signal.SIGKILL)
    wait_for(sidecar.ensure_running)
    assert not sidecar.ensure_running()


def test_close_terminates_it(sidecar: Sidecar) -> None:
    sidecar.ensure_running()
    sidecar.close(grace_seconds=60)
    assert gone(pid_of(sidecar))


def test_one_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    sidecar = Sidecar([sys.executable, "-c", STUBBORN.format(str(tmp_path / "up"))])
    sidecar.ensure_running()
    wait_for((tmp_path / "up").exists)
    sidecar.close(grace_seconds=0.05)
    assert gone(pid_of(sidecar))


def test_close_does_nothing_before_the_first_start(sidecar: Sidecar) -> None:
    sidecar.close(grace_seconds=0)


def test_it_dies_with_the_thread_that_started_it(sidecar: Sidecar) -> None:
    done = threading.Event()

    def supervise() -> None:
        sidecar.ensure_running()
        done.wait(60)

    supervisor = threading.Thread(target=supervise)
    supervisor.start()
    wait_for(lambda: sidecar.pid is not None and b"sleep" in cmdline(sidecar))
    assert not gone(pid_of(sidecar))
    done.set()
    supervisor.join()
    wait_for(lambda: gone(pid_of(sidecar)))


def cmdline(sidecar: Sidecar) -> bytes:
    """Name of the running program: `setpriv` sets the death signal before it executes the program."""
    return Path(f"/proc/{pid_of(sidecar)}/cmdline").read_bytes().split(b"\0")[0]


def test_it_gets_no_secret_that_it_does_not_need(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEEDED", "1")
    monkeypatch.setenv("NOT_NEEDED", "hush")
    sidecar = Sidecar(["sleep", "600"], without=["NOT_NEEDED"])
    sidecar.ensure_running()
    try:
        wait_for(lambda: b"sleep" in cmdline(sidecar))
        environ = Path(f"/proc/{pid_of(sidecar)}/environ").read_bytes().split(b"\0")
        assert b"NEEDED=1" in environ
        assert b"NOT_NEEDED=hush" not in environ
    finally:
        sidecar.close(grace_seconds=0)
