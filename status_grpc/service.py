"""The status service: five calls that read, each in a thread and with a database connection for as long as it takes."""

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime

import grpc
from django.db import DatabaseError, InterfaceError, connection

from observability.health import Health, worst_of
from observability.version import VERSION
from operations.livestreams import live_capacity, on_air, open_broadcasts, recent_broadcasts
from status_grpc.generated import module_service_pb2 as pb
from status_grpc.generated.module_service_pb2_grpc import ModuleServiceServicer
from status_grpc.messages import health_message, metrics_message, routes_message, stats_message, status_message

MAX_ROUTES = 1000
DAY_SECONDS = 24 * 3600
MAX_WINDOW_SECONDS = 31 * DAY_SECONDS

log = logging.getLogger(__name__)


class ModuleService(ModuleServiceServicer):
    """Answers from the rows. Without the database a call is UNAVAILABLE, but for HealthCheck, which says so."""

    def __init__(self, *, checks: Callable[[], Mapping[str, Health]], max_streams: int, silence_seconds: float) -> None:
        self._checks = checks
        self._max_streams = max_streams
        self._silence_seconds = silence_seconds
        self._started_at = datetime.now(UTC)

    def GetStatus(self, request: pb.GetStatusRequest, context: grpc.ServicerContext) -> pb.ModuleStatus:  # noqa: ARG002, N802 - gRPC's signature
        with _rows(context):
            return status_message(
                version=VERSION,
                health=worst_of(self._checks()),
                started_at=self._started_at,
                live=on_air(),
                capacity=live_capacity(silence_seconds=self._silence_seconds),
                max_streams=self._max_streams,
            )

    def GetRoutes(self, request: pb.GetRoutesRequest, context: grpc.ServicerContext) -> pb.Routes:  # noqa: N802 - as above
        with _rows(context):
            return routes_message(open_broadcasts(limit=min(request.limit or MAX_ROUTES, MAX_ROUTES)))

    def GetMetrics(self, request: pb.GetMetricsRequest, context: grpc.ServicerContext) -> pb.Metrics:  # noqa: ARG002, N802 - as above
        with _rows(context):
            capacity = live_capacity(silence_seconds=self._silence_seconds)
            return metrics_message(on_air(), capacity, open_broadcasts(limit=MAX_ROUTES))

    def HealthCheck(self, request: pb.HealthCheckRequest, context: grpc.ServicerContext) -> pb.HealthReport:  # noqa: ARG002, N802 - as above
        checks = self._checks()
        return health_message(checks, worst_of(checks))

    def GetStats(self, request: pb.GetStatsRequest, context: grpc.ServicerContext) -> pb.Stats:  # noqa: N802 - as above
        window = request.window_seconds or DAY_SECONDS
        if window > MAX_WINDOW_SECONDS:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"window_seconds: must be at most {MAX_WINDOW_SECONDS}")
        with _rows(context):
            return stats_message(recent_broadcasts(window_seconds=window))


@contextmanager
def _rows(context: grpc.ServicerContext) -> Iterator[None]:
    """Read rows: an unavailable database is UNAVAILABLE. The connection is closed afterwards."""
    try:
        yield
    except (DatabaseError, InterfaceError):
        log.warning("status without the database", extra={"event": "status_without_database"})
        context.abort(grpc.StatusCode.UNAVAILABLE, "The database cannot be reached.")
    finally:
        connection.close()
