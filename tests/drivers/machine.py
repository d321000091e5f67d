"""A machine with NVIDIA GPUs that encode H.264, for tests: drivers of our own, loaded by Debian's ffmpeg 5.1.9.

The drivers are built from Debian's NVENC headers and x264 when a run first asks for them. ffmpeg 9.0.2 refuses them:
they speak the version of the NVENC interface that ffmpeg 5.1.9 was built with.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

from tests.drivers import nvml
from tests.servers import servers_of_this_run

FFMPEG = "/usr/bin/ffmpeg"
SOURCES = Path(__file__).parent
LIBRARIES = {"libcuda.so.1": ("cuda.c",), "libnvidia-encode.so.1": ("nvenc.c", "-lx264")}

Event = dict[str, Any]


@cache
def drivers() -> Path:
    """The folder with all libraries of a driver, NVML's too, built once per run."""
    folder = servers_of_this_run().home.folder / "drivers"
    folder.mkdir(parents=True, exist_ok=True)
    nvml.build(folder)
    for library, (source, *options) in LIBRARIES.items():
        flags = ["-shared", "-fPIC", "-O1", "-Wall", "-Werror"]
        subprocess.run(["/usr/bin/cc", *flags, "-o", folder / library, SOURCES / source, *options], check=True)
    return folder


class GpuMachine:
    """A folder that is a machine: what its drivers are told, and what they logged.

    `nvml` says how its devices are; they are named GPU-0 and so on. Settings: system_sessions and device_sessions (most
    at once, 0: any number); codecs; lost (devices that are gone); die_after frames of a session, on die_devices, and
    die_how (device_not_exist, generic, abort, hang); microseconds that a frame takes at least, and slow_microseconds
    those after the first slow_after frames of a session; unbounded, 1 for drivers that do not keep to the most bits per
    second that they are given.
    """

    def __init__(self, folder: Path, *, devices: int = 1, **settings: object) -> None:
        self.folder = folder
        self._devices = devices
        self._libraries = folder / "lib"
        (folder / "sessions").mkdir(parents=True, exist_ok=True)
        shutil.copytree(drivers(), self._libraries, dirs_exist_ok=True)
        self.nvml = nvml.Driver(self._libraries, folder / "nvml")
        self.nvml.show(*(nvml.Card(uuid=f"GPU-{number}") for number in range(devices)))
        self.set(**settings)

    @property
    def environ(self) -> dict[str, str]:
        """What a process needs in its environment to be on this machine; ffmpeg needs no more than the worker's."""
        return {"LD_LIBRARY_PATH": str(self._libraries), "NVML_STUB": str(self.nvml.script)}

    def set(self, **settings: object) -> None:
        """Have exactly these settings from now on, in processes that run already too."""
        lines = [f"{name} {value}\n" for name, value in {"devices": self._devices, **settings}.items()]
        fresh = self.folder / "settings.new"
        fresh.write_text("".join(lines))
        fresh.rename(self.folder / "settings")

    def events(self, kind: str | None = None) -> list[Event]:
        """What the drivers of all processes logged: open, refused, encode, died, close."""
        log = self.folder / "log"
        lines = log.read_text().splitlines() if log.exists() else []
        return [event for event in map(json.loads, lines) if kind in {None, event["event"]}]

    def most_sessions(self) -> int:
        """The most sessions that were ever open at once."""
        return max((event["on_system"] for event in self.events("open")), default=0)
