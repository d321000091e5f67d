"""A driver for tests: a libnvidia-ml.so.1 of our own that the real pynvml loads, whose answers a file scripts."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.servers import servers_of_this_run

SOURCE = Path(__file__).with_name("nvml.c")


@cache
def driver_folder() -> Path:
    """The folder with the library, compiled once per run."""
    folder = servers_of_this_run().home.folder / "drivers"
    folder.mkdir(parents=True, exist_ok=True)
    compiler = shutil.which("cc") or "cc"
    library = folder / "libnvidia-ml.so.1"
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", library, SOURCE], check=True)
    return folder


@dataclass(frozen=True, kw_only=True)
class Card:
    """One device of the stub; None: not supported. Status: ok, mig, lost, gone or hang."""

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
    """The script of one stub."""

    def __init__(self, script: Path) -> None:
        self.script = script
        self.show()

    def show(self, *cards: Card, init: int = 0, version: str = "570.86.10") -> None:
        """Have these devices from now on. A file is replaced as a whole, while somebody may read it."""
        text = "\n".join([f"{init}|{version}", *(card.line() for card in cards)]) + "\n"
        new = self.script.with_suffix(".new")
        new.write_text(text)
        new.replace(self.script)

    def environment(self) -> dict[str, str]:
        """What a process needs to have this driver."""
        paths = [str(driver_folder()), os.environ.get("LD_LIBRARY_PATH", "")]
        return {"LD_LIBRARY_PATH": ":".join(filter(None, paths)), "NVML_STUB": str(self.script)}
