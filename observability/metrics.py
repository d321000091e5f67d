"""Declarations of all metrics that a process counts itself.

The processes of one service (a worker's pool, several API workers) add up their counts in files of a shared folder; see
`use_shared_folder`. Metrics of the database are queried when they are scraped: `operations.metrics_export`.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import prometheus_client
from prometheus_client import REGISTRY, CollectorRegistry, generate_latest, values
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

PREFIX = "vodmill_"
MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
"""The library's own variable with the path of the shared folder."""

REQUEST_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60)
JOB_SECONDS = (1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 14400, 43200)
SPEEDS = (0.1, 0.25, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10, 20)


@dataclass
class Metric:
    """A declared metric. The library's object is created on first use: in a shared folder that opens a file."""

    name: str
    help: str
    labels: Sequence[str] = ()
    buckets: Sequence[float] = ()
    kind: str = field(init=False, default="counter")

    def __post_init__(self) -> None:
        METRICS[PREFIX + self.name] = self


METRICS: dict[str, Metric] = {}
"""All declared metrics, by full name."""


class Counter(Metric):
    """A count that only grows."""

    @cached_property
    def _counter(self) -> prometheus_client.Counter:
        return prometheus_client.Counter(PREFIX + self.name, self.help, self.labels)

    def add(self, amount: float = 1, **labels: object) -> None:
        (self._counter.labels(**labels) if labels else self._counter).inc(amount)


class Histogram(Metric):
    """A distribution of observed values, by buckets."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.kind = "histogram"

    @cached_property
    def _histogram(self) -> prometheus_client.Histogram:
        return prometheus_client.Histogram(PREFIX + self.name, self.help, self.labels, buckets=self.buckets)

    def observe(self, value: float, **labels: object) -> None:
        (self._histogram.labels(**labels) if labels else self._histogram).observe(value)


HTTP_REQUESTS = Counter("http_requests_total", "Requests answered.", ("method", "route", "status"))
HTTP_SECONDS = Histogram(
    "http_request_duration_seconds", "Duration of a request.", ("method", "route"), REQUEST_SECONDS
)
UPLOADS = Counter("video_uploads_total", "Uploads that ended.", ("outcome",))
UPLOAD_BYTES = Counter("video_upload_bytes_total", "Bytes of accepted videos.")
JOBS_CREATED = Counter("jobs_created_total", "Jobs accepted.", ("codec",))
JOBS_COMPLETED = Counter("jobs_completed_total", "Jobs that ended.", ("outcome",))
JOB_SECONDS_TAKEN = Histogram(
    "job_duration_seconds", "From the start of a job, or its retry, to its end.", ("outcome",), JOB_SECONDS
)
JOB_QUEUE_SECONDS = Histogram(
    "job_queue_time_seconds",
    "From the creation of a job to its first step; of a retry, too.",
    (),
    JOB_SECONDS,
)
JOB_SPEED = Histogram("speed_ratio", "Seconds of video per second, of completed jobs.", (), SPEEDS)
STEPS_RUN = Counter("steps_run_total", "Attempts at steps that ended in this node.", ("queue", "kind", "outcome"))
STEP_SECONDS = Histogram("step_duration_seconds", "Duration of attempts at steps.", ("queue", "kind"), JOB_SECONDS)
ENCODES = Counter("encodes_total", "Attempts at chunks that ended.", ("encoder", "outcome"))
FALLBACKS = Counter("gpu_fallbacks_total", "Jobs planned for the CPU although a GPU was preferred.", ("reason",))
STORAGE_OPERATIONS = Counter("storage_operations_total", "Requests to the S3 store.", ("operation", "outcome"))
STORAGE_SECONDS = Histogram(
    "storage_operation_duration_seconds",
    "Time until the response of the S3 store started.",
    ("operation",),
    REQUEST_SECONDS,
)
STORAGE_BYTES = Counter("storage_bytes_transferred_total", "Bytes to and from the S3 store.", ("direction",))
CACHE_HITS = Counter("cache_hits_total", "Responses found in the cache.", ("kind",))
CACHE_MISSES = Counter("cache_misses_total", "Responses that had to be rendered.", ("kind", "reason"))
RATE_LIMITED = Counter("rate_limited_total", "Requests refused by a rate limit.", ("rate", "by"))


def use_shared_folder(folder: Path) -> None:
    """Count in files of this folder, together with every process forked from now on. Deletes earlier counts.

    Call it before anything is counted. Several API workers, which vodmill does not fork, share the folder in the
    library's variable PROMETHEUS_MULTIPROC_DIR.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    for file in folder.glob("*.db"):
        file.unlink(missing_ok=True)
    os.environ[_FOLDER] = str(folder)
    values.ValueClass = values.get_value_class()  # type: ignore[no-untyped-call]


def exposition(*more: Collector) -> bytes:
    """Render all metrics of this service, and those of more collectors, in Prometheus' text format."""
    registry = CollectorRegistry()
    for collector in more:
        registry.register(collector)
    return generate_latest(_service_registry()) + generate_latest(registry)


def _service_registry() -> CollectorRegistry:
    if not os.environ.get(_FOLDER):
        return REGISTRY
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return registry
