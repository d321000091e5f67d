import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from execution import daemons
from execution.daemons import DaemonError, Identity
from execution.process import is_running

STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
PARENT = "import subprocess, sys, time; subprocess.Popen(['sleep', '61']); print('up', flush=True); time.sleep(60)"


class Starter:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder / "logs" / "log"
        self.started: list[Identity] = []

    def __call__(self, code: str, **environ: str) -> Identity:
        argv = [sys.executable, "-c", code]
        self.started.append(daemons.start(argv, log=self.log, environ=environ, folder=self.folder))
        return self.started[-1]

    def says(self, text: str) -> bool:
        return text in self.log.read_text()

    def wait_for(self, identity: Identity, text: str) -> None:
        daemons.wait_until(lambda: self.says(text), what="it", identity=identity, log=self.log, timeout_seconds=60)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Starter]:
    starter = Starter(tmp_path)
    yield starter
    for identity in starter.started:
        daemons.stop(identity, grace_seconds=0)


def test_a_process_gets_its_folder_environment_and_log(start: Starter) -> None:
    identity = start("import os, time; print(os.getcwd(), dict(os.environ), flush=True); time.sleep(60)", COLOUR="red")
    start.wait_for(identity, "\n")
    assert start.says(str(start.folder))
    assert start.says("'COLOUR': 'red'")
    assert not start.says("PATH")


def test_a_process_leads_its_own_session(start: Starter) -> None:
    identity = start("import time; time.sleep(60)")
    assert os.getsid(identity.pid) == identity.pid != os.getsid(0)


def test_a_stopped_process_is_not_alive(start: Starter) -> None:
    identity = start("import time; time.sleep(60)")
    assert daemons.alive(identity)
    daemons.stop(identity)
    assert not daemons.alive(identity)
    assert not Path(f"/proc/{identity.pid}").exists()


def test_another_process_with_the_same_pid_is_not_stopped(start: Starter) -> None:
    identity = start("import time; time.sleep(60)")
    stranger = Identity(identity.pid, identity.started - 1)
    assert not daemons.alive(stranger)
    daemons.stop(stranger)
    assert daemons.alive(identity)


def test_a_process_that_ends_by_itself_is_not_alive(start: Starter) -> None:
    identity = start("")
    deadline = time.monotonic() + 60
    while daemons.alive(identity):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_process_that_ignores_sigterm_is_killed(start: Starter) -> None:
    identity = start(STUBBORN)
    start.wait_for(identity, "up")
    daemons.stop(identity, grace_seconds=0.2)
    assert not daemons.alive(identity)


def test_remaining_children_are_killed_too(start: Starter) -> None:
    identity = start(PARENT)
    start.wait_for(identity, "up")
    assert len(session_of(identity.pid)) == 2
    daemons.stop(identity)
    assert session_of(identity.pid) == []


def test_children_of_a_dead_leader_are_killed(start: Starter) -> None:
    identity = start(PARENT)
    start.wait_for(identity, "up")
    os.kill(identity.pid, signal.SIGKILL)
    daemons.stop(identity)
    assert session_of(identity.pid) == []


def test_a_process_that_dies_while_starting_is_reported_with_its_log(start: Starter) -> None:
    identity = start("raise SystemExit('no such table: teapots')")
    with pytest.raises(DaemonError, match=r"it ended at once; the end of .*log:\n  no such table: teapots"):
        start.wait_for(identity, "up")


def test_a_process_that_never_gets_ready_is_reported_with_its_log(start: Starter) -> None:
    identity = start("import time; print('warming up', flush=True); time.sleep(60)")
    start.wait_for(identity, "warming up")
    with pytest.raises(DaemonError, match=r"the server was not ready after 0\.1 s; the end of .*\n  warming up"):
        daemons.wait_until(lambda: False, what="the server", identity=identity, log=start.log, timeout_seconds=0.1)


def test_a_missing_program_is_named(tmp_path: Path) -> None:
    with pytest.raises(DaemonError, match="cannot start /no/such/program: No such file"):
        daemons.start(["/no/such/program"], log=tmp_path / "log", environ={}, folder=tmp_path)


def test_the_output_of_a_failed_tool_is_quoted(tmp_path: Path) -> None:
    with pytest.raises(DaemonError, match="failed with code 3:\ntoo bad"):
        daemons.run([sys.executable, "-c", "print('too bad'); exit(3)"], environ={}, folder=tmp_path)


def test_warnings_of_a_tool_are_no_part_of_its_result_and_are_quoted_when_it_fails(tmp_path: Path) -> None:
    code = "import sys; print('result'); print('warning', file=sys.stderr); sys.exit(int(sys.argv[1]))"
    argv = [sys.executable, "-c", code]
    assert daemons.run([*argv, "0"], environ={}, folder=tmp_path) == "result\n"
    with pytest.raises(DaemonError, match="failed with code 1:\nresult\nwarning"):
        daemons.run([*argv, "1"], environ={}, folder=tmp_path)


def test_only_the_end_of_a_long_log_is_quoted(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("\n".join(str(number) for number in range(100_000)))
    tail = daemons.log_tail(log).splitlines()
    assert len(tail) == daemons.LOG_TAIL_LINES
    assert tail[-1] == "  99999"


def session_of(leader: int) -> list[int]:
    """Processes of a session that have not ended."""
    pids = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    return [pid for pid in pids if session_id(pid) == leader and is_running(pid)]


def session_id(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except ProcessLookupError:
        return None
