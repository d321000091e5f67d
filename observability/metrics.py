"""What is counted, where it happens. Every metric of the platform that a process counts itself is declared here.

The processes of one service (a worker's pool, several API workers) add up in files of a folder that they share; see
`share`. What the database knows better is not counted but asked for when somebody looks: `operations.metrics_export`.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Histogram, generate_latest, values
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

PREFIX = "vodmill_"
MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
"""The library's own name for where processes share."""

REQUEST_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60)
JOB_SECONDS = (1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 14400, 43200)
SPEEDS = (0.1, 0.25, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10, 20)


@dataclass
class Declared:
    """A metric that is made when it is first used: in a shared folder, making one opens a file."""

    name: str
    help: str
    labels: Sequence[str] = ()
    buckets: Sequence[float] = ()
    kind: str = field(init=False, default="counter")

    def __post_init__(self) -> None:
        declared[PREFIX + self.name] = self


declared: dict[str, Declared] = {}
"""Everything that is counted, by its full name."""


class Count(Declared):
    """Something that only grows."""

    @cached_property
    def _made(self) -> Counter:
        return Counter(PREFIX + self.name, self.help, self.labels)

    def add(self, amount: float = 1, **labels: object) -> None:
        (self._made.labels(**labels) if labels else self._made).inc(amount)


class Spread(Declared):
    """How large something was, each time."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.kind = "histogram"

    @cached_property
    def _made(self) -> Histogram:
        return Histogram(PREFIX + self.name, self.help, self.labels, buckets=self.buckets)

    def note(self, value: float, **labels: object) -> None:
        (self._made.labels(**labels) if labels else self._made).observe(value)


HTTP_REQUESTS = Count("http_requests_total", "Requests answered.", ("method", "route", "status"))
HTTP_SECONDS = Spread(
    "http_request_duration_seconds", "How long answering a request took.", ("method", "route"), REQUEST_SECONDS
)
UPLOADS = Count("video_uploads_total", "Uploads that ended.", ("outcome",))
UPLOAD_BYTES = Count("video_upload_bytes_total", "Bytes of the videos that were accepted.")
JOBS_CREATED = Count("jobs_created_total", "Jobs accepted.", ("codec",))
JOBS_COMPLETED = Count("jobs_completed_total", "Jobs that ended.", ("outcome",))
JOB_SECONDS_TAKEN = Spread(
    "job_duration_seconds", "From a job's start, or retry, to its end.", ("outcome",), JOB_SECONDS
)
JOB_QUEUE_SECONDS = Spread(
    "job_queue_time_seconds",
    "From a job's creation to its first step; a retry's from the same moment.",
    (),
    JOB_SECONDS,
)
JOB_SPEED = Spread("speed_ratio", "Seconds of video per second, of completed jobs.", (), SPEEDS)
STEPS_RUN = Count("steps_run_total", "Attempts at steps that ended in this node.", ("queue", "kind", "outcome"))
STEP_SECONDS = Spread("step_duration_seconds", "How long attempts at steps took.", ("queue", "kind"), JOB_SECONDS)
ENCODES = Count("encodes_total", "Attempts at chunks that ended.", ("encoder", "outcome"))
FALLBACKS = Count("gpu_fallbacks_total", "Jobs planned for the CPU although a GPU was preferred.", ("reason",))
STORAGE_OPERATIONS = Count("storage_operations_total", "Requests to the S3 store.", ("operation", "outcome"))
STORAGE_SECONDS = Spread(
    "storage_operation_duration_seconds", "Until the S3 store's answer began.", ("operation",), REQUEST_SECONDS
)
STORAGE_BYTES = Count("storage_bytes_transferred_total", "Bytes to and from the S3 store.", ("direction",))
CACHE_HITS = Count("cache_hits_total", "Answers found in the cache.", ("kind",))
CACHE_MISSES = Count("cache_misses_total", "Answers that had to be made.", ("kind", "reason"))
RATE_LIMITED = Count("rate_limited_total", "Requests refused for coming too fast.", ("rate", "by"))


def share(folder: Path) -> None:
    """Count in files of this folder, with every process forked from now on; what an earlier life left is forgotten.

    Before anything was counted. Several API workers, which are not forked by us, share the folder that the library's
    variable PROMETHEUS_MULTIPROC_DIR names for them.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for file in folder.glob("*.db"):
        file.unlink(missing_ok=True)
    os.environ[_FOLDER] = str(folder)
    values.ValueClass = values.get_value_class()  # type: ignore[no-untyped-call]


def exposition(*more: Collector) -> bytes:
    """All metrics of this service, and those of other collectors, as Prometheus reads them."""
    asked = CollectorRegistry()
    for collector in more:
        asked.register(collector)
    return generate_latest(_counted()) + generate_latest(asked)


def _counted() -> CollectorRegistry:
    if not os.environ.get(_FOLDER):
        return REGISTRY
    added_up = CollectorRegistry()
    MultiProcessCollector(added_up)  # type: ignore[no-untyped-call]
    return added_up
