import os
import subprocess
import sys

from execution.process import children, is_running


def test_the_children_of_a_child_are_found_and_seen_to_end() -> None:
    """A parent waits for what a dead child had started: it is killed with the child, but not at the same instant."""
    script = "import subprocess, sys; p = subprocess.Popen(['sleep', '60']); print(p.pid, flush=True); p.wait()"
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        grandchild = int(child.stdout.readline())
        assert child.pid in children()
        assert children(child.pid) == [grandchild]
        assert is_running(grandchild)
        os.kill(grandchild, 9)
        child.wait(timeout=30)
    assert not is_running(grandchild)
    assert children(child.pid) == []
