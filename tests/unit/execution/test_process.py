import os
import subprocess
import sys
import time
from pathlib import Path

from execution.process import (
    child_pids,
    is_running,
    kill_and_wait,
    kill_children,
    processor_seconds,
    set_niceness,
    spawn,
)


def test_grandchildren_are_listed_until_they_end() -> None:
    """A worker waits for the processes of a dead child: the kernel kills them, but not at the same instant."""
    script = "import subprocess, sys; p = subprocess.Popen(['sleep', '60']); print(p.pid, flush=True); p.wait()"
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        grandchild = int(child.stdout.readline())
        assert child.pid in child_pids()
        assert child_pids(child.pid) == [grandchild]
        assert is_running(grandchild)
        os.kill(grandchild, 9)
        child.wait(timeout=60)
    assert not is_running(grandchild)
    assert child_pids(child.pid) == []


def test_kill_children_kills_what_spawn_started_and_nothing_else() -> None:
    with subprocess.Popen(["/bin/sleep", "60"], start_new_session=True) as other, spawn(["sleep", "60"]) as spawned:
        kill_children()
        assert spawned.wait(timeout=60) == -9
        assert is_running(other.pid)
        other.kill()


def test_a_nice_process_leaves_the_processor_to_one_that_is_not() -> None:
    """The kernel may share the processor out by session first: then niceness between sessions means nothing."""
    core = str(min(os.sched_getaffinity(0)))
    spin = ["taskset", "--cpu-list", core, sys.executable, "-c", "while True: pass"]
    first, later = spawn(spin, stderr=subprocess.DEVNULL), spawn(spin, stderr=subprocess.DEVNULL)
    try:
        set_niceness(later, 10)
        deadline = time.monotonic() + 60
        while _cpu_ticks(first) + _cpu_ticks(later) < 200 and time.monotonic() < deadline:
            time.sleep(0.05)
        assert _cpu_ticks(later) < _cpu_ticks(first) / 3
        assert os.getpgid(first.pid) == first.pid
    finally:
        kill_children()
        for process in (first, later):
            process.wait(timeout=60)


def _cpu_ticks(process: subprocess.Popen[bytes]) -> int:
    user, system = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return int(user) + int(system)


def test_the_time_of_all_descendants_counts() -> None:
    script = "for word in $(seq 100000); do :; done; (for word in $(seq 100000); do :; done; echo; sleep 60); :"
    process = spawn(["sh", "-c", script], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    with process:
        assert process.stdout is not None
        process.stdout.readline()
        spent = processor_seconds(process.pid)
        assert spent > processor_seconds(child_pids(process.pid)[0]) > 0
        kill_and_wait(process)
    assert processor_seconds(process.pid) == 0
