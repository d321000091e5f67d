"""What `make run VIDEO=…` hands to the program, whatever a file is called."""

import shutil
import subprocess
from pathlib import Path

import pytest

MAKEFILE = Path(__file__).resolve().parents[3] / "Makefile"
NAMES = [
    "a b.mp4",
    "`touch bad`.mp4",
    "$(shell touch bad).mp4",
    "$(touch bad).mp4",
    "a'b\"c.mp4",
    '"; touch bad; ".mp4',
]


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
@pytest.mark.parametrize("name", NAMES)
def test_a_file_name_is_a_file_name_and_no_command(name: str, tmp_path: Path) -> None:
    project, here = tmp_path / "project", tmp_path / "he re"
    here.mkdir()
    (here / name).touch()
    _program(project / "scripts" / "setup", "")
    _program(project / ".venv" / "bin" / "python", 'printf "%s\\n" "$@"')
    shutil.copy(MAKEFILE, project)
    command = ["make", "-s", "-C", str(project), "run", f"VIDEO={name}"]
    env = {"PATH": "/usr/bin:/bin", "PWD": str(here)}
    done = subprocess.run(command, check=True, cwd=here, env=env, capture_output=True)
    assert done.stdout.decode().splitlines() == ["-m", "embedded", "run", "--video", str(here / name)]
    assert not list(tmp_path.rglob("bad"))


def _program(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/bash\n{text}\n")
    path.chmod(0o755)
