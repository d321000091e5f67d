"""Inspection of one file in a process of its own, whose memory and processor time are measured."""

import multiprocessing
import resource
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["tests.django_process", "workers.tools", "workers.steps.inspect"])
"""Each process is a fork of one that has imported the project: that alone takes two seconds."""


@dataclass(frozen=True, kw_only=True)
class Inspected:
    """The outcome of an inspection. Memory is that of the process itself and of the largest program that it started."""

    facts: dict[str, Any] | None
    refusal: str
    fetched: int
    """Bytes fetched from the store."""
    own_mib: int
    program_mib: int
    processor_seconds: float
    seconds: float


def inspected(path: Path, folder: Path, *, parts: bool = False) -> Inspected:
    """Inspect a file as a worker does. `parts`: read only parts of it where that is possible, however small it is."""
    with ProcessPoolExecutor(1, mp_context=PROCESSES) as process:
        return process.submit(_inspect, path, folder, parts=parts).result()


class _Sampler(threading.Thread):
    """Samples what the programs use that this process starts: a sandbox does not pass it on to who waits for it."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.over = threading.Event()
        self.memory_bytes = 0
        self.processor_seconds: dict[int, float] = {}

    def run(self) -> None:
        from execution.guard import usage_of_tree
        from execution.process import child_pids, processor_seconds

        while not self.over.wait(0.02):
            for pid in child_pids():
                self.memory_bytes = max(self.memory_bytes, usage_of_tree(pid).memory_bytes)
                self.processor_seconds[pid] = max(self.processor_seconds.get(pid, 0), processor_seconds(pid))


def _inspect(path: Path, folder: Path, *, parts: bool) -> Inspected:
    from configuration import Config, StorageConfig
    from coordination.live_parts import LiveParts
    from execution.ffmpeg import FfmpegRunner
    from execution.ffprobe import Ffprobe
    from storage.local import LocalStore
    from transcoding.containers.mp4_index import Mp4Index
    from transcoding.errors import InputRejected
    from videos.models import Video
    from workers.lease.control import StepControl
    from workers.node.flags import SharedFlag
    from workers.source import working_copy
    from workers.source.cache import SourceCache
    from workers.steps.inspect import Inspection
    from workers.tools import Tools

    working_copy.SMALL_BYTES = 0 if parts else 1 << 60
    config, draining = Config(), SharedFlag()
    store = LocalStore(folder / "store", part_bytes=StorageConfig().upload_part_bytes)
    stored = store.put_file("source", path, "video/mp4")
    scratch = folder / "scratch"
    scratch.mkdir(exist_ok=True)
    tools = Tools(
        config=config,
        node="alone",
        store=store,
        sources=SourceCache(store, folder / "sources", max_bytes=1 << 40),
        ffmpeg=FfmpegRunner(config.execution, config.limits),
        ffprobe=Ffprobe(config.execution, config.limits),
        scratch=scratch,
        policy=None,  # type: ignore[arg-type]  # nothing is planned
        downloader=None,  # type: ignore[arg-type]  # nothing is imported
        buckets=None,  # type: ignore[arg-type]  # nothing is imported
        draining=draining,
        parts=LiveParts(None),
    )
    video = Video(source_key="source", etag=stored.etag, size_bytes=stored.size)
    control = StepControl(draining)
    reader, inspection = tools.source_reader(video, control), Inspection(tools, control)
    sampler = _Sampler()
    facts: dict[str, Any] | None = None
    refusal, started = "", time.monotonic()
    sampler.start()
    try:
        found = reader.read(None, Mp4Index.opening, lambda copy: inspection.inspect(copy, video), look=inspection.look)
        facts = found.facts.to_json()
    except InputRejected as error:
        refusal = str(error)
    seconds = time.monotonic() - started
    sampler.over.set()
    sampler.join()
    own = resource.getrusage(resource.RUSAGE_SELF)
    return Inspected(
        facts=facts,
        refusal=refusal,
        fetched=int(str(reader.report["source_bytes"])),
        own_mib=_peak_mib(),
        program_mib=sampler.memory_bytes >> 20,
        processor_seconds=own.ru_utime + own.ru_stime + sum(sampler.processor_seconds.values()),
        seconds=seconds,
    )


def _peak_mib() -> int:
    """Return the largest size that this process had. That of `getrusage` counts the process it was started by, too."""
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) >> 10
