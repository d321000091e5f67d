import os
import subprocess
import sys

from execution.process import child_pids, is_running, kill_children, spawn


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
