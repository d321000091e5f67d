"""Status and statistics of the platform, for operators. Responses are cached for a few seconds, for all callers."""

from collections.abc import Callable
from dataclasses import asdict
from typing import Any, ClassVar

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request

from access.scopes import Scope
from api.responses import cached_response, with_weak_etag
from api.views import APIView
from jobs.models import NodeState
from jobs.rules.steps import QUEUES
from observability.health import Health, run_checks
from operations.health import (
    WAIT_SECONDS,
    WEBHOOK_WINDOW_SECONDS,
    AlertCode,
    alerts,
    dependency_alerts,
    dependency_checks,
    system_state,
)
from operations.statistics import (
    NodeHealth,
    failing_endpoints,
    failing_purges,
    jobs_in_quarantine,
    node_healths,
    open_jobs,
    queue_loads,
    recent_jobs,
    stored_bytes,
)
from operations.wiring import node_silence_seconds

WINDOW_SECONDS = 3600
CACHE_SECONDS = 5.0
AGES = frozenset({"oldest_ready_seconds", "oldest_ready_step_seconds", "silent_seconds"})
HEALTH_STATES = [state.value for state in Health]


class QueueDocument(serializers.Serializer[Any]):
    queue = serializers.ChoiceField(QUEUES)
    ready = serializers.IntegerField(help_text="Steps that a worker could take now.")
    delayed = serializers.IntegerField(help_text="Steps that pause before they are tried again.")
    running = serializers.IntegerField()
    oldest_ready_seconds = serializers.FloatField(help_text="The longest wait.")


class QueueStatsDocument(serializers.Serializer[Any]):
    queue_depth = serializers.IntegerField(help_text="Steps that a worker could take now, of all queues.")
    oldest_ready_step_seconds = serializers.FloatField()
    queues = QueueDocument(many=True)


class WorkerDocument(serializers.Serializer[Any]):
    name = serializers.CharField()
    state = serializers.ChoiceField(NodeState.values)
    queues = serializers.ListField(child=serializers.CharField())
    slots = serializers.IntegerField()
    busy = serializers.IntegerField()
    silent_seconds = serializers.FloatField(help_text="Since it was heard of.")
    isolation = serializers.CharField(
        help_text="Isolation of the programs that open sources: sandbox, uid, container or none;"
        " empty: it opens none, or does not say."
    )
    alive = serializers.BooleanField()


class WorkersHealthDocument(serializers.Serializer[Any]):
    status = serializers.ChoiceField(HEALTH_STATES, help_text="failed: none is alive.")
    total = serializers.IntegerField()
    alive = serializers.IntegerField()
    slots = serializers.IntegerField(help_text="Of those that are alive and take work.")
    busy = serializers.IntegerField()
    workers = WorkerDocument(many=True)


class RecentDocument(serializers.Serializer[Any]):
    window_seconds = serializers.IntegerField()
    completed = serializers.IntegerField()
    failed = serializers.IntegerField()
    cancelled = serializers.IntegerField()
    jobs_per_hour = serializers.FloatField(help_text="Completed jobs.")
    success_rate = serializers.FloatField(allow_null=True, help_text="0 to 1, cancelled jobs aside; null without any.")
    mean_speed = serializers.FloatField(allow_null=True, help_text="Seconds of video per second, of completed jobs.")
    mean_processing_seconds = serializers.FloatField(allow_null=True)


class OpenJobsDocument(serializers.Serializer[Any]):
    queued = serializers.IntegerField()
    processing = serializers.IntegerField()
    paused = serializers.IntegerField()


class StoredDocument(serializers.Serializer[Any]):
    sources_bytes = serializers.IntegerField(help_text="With their working copies.")
    outputs_bytes = serializers.IntegerField(help_text="Also of jobs that are not over; with texts and watermarks.")
    total_bytes = serializers.IntegerField()


class SystemStatsDocument(QueueStatsDocument):
    jobs = OpenJobsDocument()
    throughput = RecentDocument()
    storage = StoredDocument()


class AlertDocument(serializers.Serializer[Any]):
    code = serializers.ChoiceField([code.value for code in AlertCode])
    detail = serializers.CharField()


class SystemHealthDocument(serializers.Serializer[Any]):
    status = serializers.ChoiceField(HEALTH_STATES)
    checks = serializers.DictField(child=serializers.ChoiceField(HEALTH_STATES))
    workers_alive = serializers.IntegerField()
    alerts = AlertDocument(many=True)


class _SystemApi(APIView):
    scopes: ClassVar = {"GET": Scope.SYSTEM_READ}


class SystemStatsApi(_SystemApi):
    @extend_schema(operation_id="system_stats", responses=SystemStatsDocument)
    def get(self, request: Request) -> HttpResponse:  # noqa: ARG002 - REST framework's signature
        """Show statistics of the platform.

        Queues, open jobs, throughput of the last hour, and stored bytes.
        """
        return _cached("system", lambda: SystemStatsDocument(_system_stats()).data)


class QueueStatsApi(_SystemApi):
    @extend_schema(operation_id="queue_stats", responses=QueueStatsDocument)
    def get(self, request: Request) -> HttpResponse:  # noqa: ARG002 - REST framework's signature
        """Show the queues of steps."""
        return _cached("queues", lambda: QueueStatsDocument(_queue_stats()).data)


class WorkersHealthApi(_SystemApi):
    @extend_schema(operation_id="workers_health", responses=WorkersHealthDocument)
    def get(self, request: Request) -> HttpResponse:  # noqa: ARG002 - REST framework's signature
        """Show the worker nodes, also those that fell silent."""
        return _cached("workers", lambda: WorkersHealthDocument(_workers_health()).data)


class SystemHealthApi(_SystemApi):
    @extend_schema(operation_id="system_health", responses=SystemHealthDocument)
    def get(self, request: Request) -> HttpResponse:  # noqa: ARG002 - REST framework's signature
        """Show the health of the platform.

        Its alerts are for a person to look at.
        """
        return _cached("health", lambda: SystemHealthDocument(_system_health()).data)


def _cached(name: str, render: Callable[[], Any]) -> HttpResponse:
    """Respond with a document for all callers. Its ETag ignores that ages grow all the time."""
    response = cached_response("stats", name, variant="", render=lambda: (render(), CACHE_SECONDS))
    return with_weak_etag(response, ages=AGES)


def _nodes() -> list[NodeHealth]:
    return node_healths(silence_seconds=node_silence_seconds())


def _queue_stats() -> dict[str, Any]:
    loads = queue_loads(QUEUES)
    return {
        "queue_depth": sum(load.ready for load in loads),
        "oldest_ready_step_seconds": max(load.oldest_ready_seconds for load in loads),
        "queues": loads,
    }


def _system_stats() -> dict[str, Any]:
    recent = recent_jobs(window_seconds=WINDOW_SECONDS)
    throughput = {
        **asdict(recent),
        "jobs_per_hour": recent.completed * 3600 / WINDOW_SECONDS,
        "success_rate": recent.success_rate,
        "mean_processing_seconds": recent.mean_seconds,
    }
    return {**_queue_stats(), "jobs": open_jobs(), "throughput": throughput, "storage": stored_bytes()}


def _workers_health() -> dict[str, Any]:
    nodes = [node for node in _nodes() if node.works]
    alive = [node for node in nodes if node.alive]
    status = Health.FAILED if not alive else Health.OK if len(alive) == len(nodes) else Health.DEGRADED
    return {
        "status": status.value,
        "total": len(nodes),
        "alive": len(alive),
        "slots": sum(node.slots for node in alive if node.state == "active"),
        "busy": sum(node.busy for node in alive),
        "workers": nodes,
    }


def _system_health() -> dict[str, Any]:
    nodes = _nodes()
    dependencies = dependency_checks()
    checks = run_checks(dependencies, timeout_seconds=WAIT_SECONDS)
    recent = recent_jobs(window_seconds=WINDOW_SECONDS)
    found = [
        *dependency_alerts(dependencies, checks),
        *alerts(
            queue_loads(QUEUES),
            nodes,
            recent,
            quarantined=jobs_in_quarantine(),
            purges=failing_purges(),
            endpoints=failing_endpoints(window_seconds=WEBHOOK_WINDOW_SECONDS),
        ),
    ]
    return {
        "status": system_state(checks, found).value,
        "checks": {name: state.value for name, state in checks.items()},
        "workers_alive": sum(node.alive and node.works for node in nodes),
        "alerts": found,
    }
