"""A simulated machine with NVIDIA GPUs that encode H.264: stub drivers, loaded by Debian's ffmpeg 5.1.9.

The drivers are built from Debian's NVENC headers and x264 on first use in a test run. ffmpeg 9.0.2 refuses them, since
they implement the version of the NVENC interface that ffmpeg 5.1.9 was built with.
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
    """Build all libraries of the driver, once per run, and return their folder."""
    folder = servers_of_this_run().home.folder / "drivers"
    folder.mkdir(parents=True, exist_ok=True)
    nvml.build(folder)
    for library, (source, *options) in LIBRARIES.items():
        flags = ["-shared", "-fPIC", "-O1", "-Wall", "-Werror"]
        subprocess.run(["/usr/bin/cc", *flags, "-o", folder / library, SOURCES / source, *options], check=True)
    return folder


class GpuMachine:
    """A simulated machine in a folder: the settings of its drivers, and their log.

    `nvml` sets the readings of its devices, which are named GPU-0 and so on. Settings of the encoder:

    - `system_sessions`, `device_sessions`: limits of concurrent sessions, 0 for none;
    - `codecs`; `lost`: devices that are gone;
    - `die_after` frames of a session, on `die_devices`, `die_how`: device_not_exist, generic, abort, hang;
    - `microseconds`: least time per frame; `slow_microseconds`: the same after the first `slow_after` frames;
    - `unbounded`: 1 for a driver that exceeds the maximum bit rate.
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
        """Environment of a process on this machine. ffmpeg inherits it from the worker."""
        return {"LD_LIBRARY_PATH": str(self._libraries), "NVML_STUB": str(self.nvml.script)}

    def set(self, **settings: object) -> None:
        """Replace the settings, for running processes too."""
        lines = [f"{name} {value}\n" for name, value in {"devices": self._devices, **settings}.items()]
        fresh = self.folder / "settings.new"
        fresh.write_text("".join(lines))
        fresh.rename(self.folder / "settings")

    def events(self, kind: str | None = None) -> list[Event]:
        """Read the events that the drivers of all processes logged: open, refused, encode, died, close."""
        log = self.folder / "log"
        lines = log.read_text().splitlines() if log.exists() else []
        return [event for event in map(json.loads, lines) if kind in {None, event["event"]}]

    def max_sessions(self) -> int:
        """Return the peak number of open sessions."""
        return max((event["on_system"] for event in self.events("open")), default=0)
