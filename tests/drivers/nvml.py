"""Stub driver: a libnvidia-ml.so.1 of our own for the real pynvml, whose results a file scripts."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

SOURCE = Path(__file__).with_name("nvml.c")


def build(folder: Path) -> Path:
    """Compile the library into a folder that a process can have on its LD_LIBRARY_PATH."""
    compiler = shutil.which("cc") or "cc"
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", folder / "libnvidia-ml.so.1", SOURCE], check=True)
    return folder


@dataclass(frozen=True, kw_only=True)
class Card:
    """A device of the stub. None: not supported. Status: ok, mig, lost, gone or hang."""

    uuid: str
    name: str = "Tesla T4"
    total: int | None = 16_000
    used: int | None = 1_000
    utilization: int | None = 0
    encoder: int | None = 0
    sessions: int | None = 0
    temperature: int | None = 40
    milliwatts: int | None = 30_500
    status: str = "ok"

    def line(self) -> str:
        numbers = (
            self.total,
            self.used,
            self.utilization,
            self.encoder,
            self.sessions,
            self.temperature,
            self.milliwatts,
        )
        cells = [self.status, self.uuid, self.name, *("-" if each is None else str(each) for each in numbers)]
        return "|".join(cells)


class Driver:
    """The built library and the script of its results."""

    def __init__(self, library: Path, script: Path) -> None:
        self._library = library
        self.script = script
        self.show()

    def show(self, *cards: Card, init: int = 0, version: str = "570.86.10") -> None:
        """Replace the devices. The file is replaced atomically, since a process may be reading it."""
        text = "\n".join([f"{init}|{version}", *(card.line() for card in cards)]) + "\n"
        new = self.script.with_suffix(".new")
        new.write_text(text)
        new.replace(self.script)

    def environment(self) -> dict[str, str]:
        """Environment of a process that loads this driver."""
        paths = [str(self._library), os.environ.get("LD_LIBRARY_PATH", "")]
        return {"LD_LIBRARY_PATH": ":".join(filter(None, paths)), "NVML_STUB": str(self.script)}
