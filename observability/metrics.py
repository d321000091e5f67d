"""Declarations of all metrics that a process counts itself.

The processes of one service (a worker's pool, several API workers) add up their counts in files of a shared folder; see
`use_shared_folder`. Metrics of the database are queried when they are scraped: `operations.metrics_export`.
"""

import os
import platform
import threading
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

import prometheus_client
import prometheus_client.core
from prometheus_client import REGISTRY, CollectorRegistry, generate_latest, values
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from observability.version import VERSION

# Without a series beside each counter that says when it was created.
prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]  # the library's

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
    _series: list[dict[str, str]] = field(init=False, default_factory=list)
    _object: Any = field(init=False, default=None)

    def __post_init__(self) -> None:
        METRICS[PREFIX + self.name] = self

    def expect(self, **values: Iterable[object]) -> None:
        """Have the series of these values of all labels exist, at zero, before anything is counted.

        Otherwise the first count appears out of nothing, and no rate shows it.
        """
        combinations = product(*(values[label] for label in self.labels))
        self._series += [dict(zip(self.labels, map(str, each), strict=True)) for each in combinations]

    def declare(self) -> None:
        """Create the series that are expected."""
        created = self._library()
        for labels in self._series:
            created.labels(**labels)

    def _library(self) -> Any:  # noqa: ANN401 - a counter or a histogram of the library
        if self._object is None:
            with _creating:  # the library refuses a second object of a name
                if self._object is None:
                    self._object = self._create()
        return self._object

    @abstractmethod
    def _create(self) -> Any:  # noqa: ANN401 - as above
        """Create the library's object."""


_creating = threading.Lock()


METRICS: dict[str, Metric] = {}
"""All declared metrics, by full name."""


class Counter(Metric):
    """A count that only grows."""

    def _create(self) -> prometheus_client.Counter:
        return prometheus_client.Counter(PREFIX + self.name, self.help, self.labels)

    def add(self, amount: float = 1, **labels: object) -> None:
        (self._library().labels(**labels) if labels else self._library()).inc(amount)


class Histogram(Metric):
    """A distribution of observed values, by buckets."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.kind = "histogram"

    def _create(self) -> prometheus_client.Histogram:
        return prometheus_client.Histogram(PREFIX + self.name, self.help, self.labels, buckets=self.buckets)

    def observe(self, value: float, **labels: object) -> None:
        (self._library().labels(**labels) if labels else self._library()).observe(value)


class BuildInfo(Collector):
    """The version of the program, as a gauge that is always 1: joined with others, it says what a change came with."""

    name = f"{PREFIX}build_info"
    labels = ("version", "python")

    def collect(self) -> Iterator[prometheus_client.core.Metric]:
        info = prometheus_client.core.GaugeMetricFamily(self.name, "Version of the program.", labels=self.labels)
        info.add_metric([VERSION, platform.python_version()], 1)
        yield info


HTTP_REQUESTS = Counter("http_requests_total", "Requests answered.", ("method", "route", "status"))
HTTP_SECONDS = Histogram(
    "http_request_duration_seconds", "Duration of a request.", ("method", "route"), REQUEST_SECONDS
)
PROBLEMS = Counter("problems_total", "Problem documents that requests were answered with.", ("status", "code"))
UPLOADS = Counter("video_uploads_total", "Uploads that ended.", ("outcome",))
UPLOAD_BYTES = Counter("video_upload_bytes_total", "Bytes of accepted videos.")
JOBS_CREATED = Counter("jobs_created_total", "Jobs accepted.", ("codec",))
JOBS_COMPLETED = Counter("jobs_completed_total", "Jobs that ended.", ("outcome",))
JOB_FAILURES = Counter("job_failures_total", "Jobs that failed, by the code of their error.", ("code",))
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
STEP_FAILURES = Counter(
    "step_failures_total", "Attempts at steps that failed, by the code of their error.", ("kind", "code")
)
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
WEBHOOK_ATTEMPTS = Counter(
    "webhook_deliveries_total", "Attempts to deliver a webhook, by what came of them.", ("outcome",)
)
RATE_LIMITED = Counter("rate_limited_total", "Requests refused by a rate limit.", ("rate", "by"))

_ENDS = ("completed", "failed", "cancelled")
UPLOADS.expect(outcome=("accepted", "refused", "failed", "broken off"))
JOBS_COMPLETED.expect(outcome=_ENDS)
JOB_SECONDS_TAKEN.expect(outcome=_ENDS)
STORAGE_BYTES.expect(direction=("up", "down"))
WEBHOOK_ATTEMPTS.expect(outcome=("delivered", "retried", "failed"))


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
    for metric in METRICS.values():
        metric.declare()
    registry = CollectorRegistry()
    for collector in (BuildInfo(), *more):
        registry.register(collector)
    return generate_latest(_service_registry()) + generate_latest(registry)


def _service_registry() -> CollectorRegistry:
    if not os.environ.get(_FOLDER):
        return REGISTRY
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return registry
