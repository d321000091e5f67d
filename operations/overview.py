"""The admin's overview: what needs attention, what waits, and what failed lately."""

from collections.abc import Sequence
from typing import Any

from django.http import HttpRequest
from django.urls import reverse
from django.utils.safestring import SafeString

from api.administration import (
    Panel,
    badge,
    link,
    link_to,
    panel,
)
from jobs.admin.filters import recent_errors
from jobs.rules.retry import POISON
from jobs.rules.steps import QUEUES
from observability.health import run_checks
from operations.health import (
    WAIT_SECONDS,
    WEBHOOK_WINDOW_SECONDS,
    Alert,
    AlertCode,
    alerts,
    dependency_alerts,
    dependency_checks,
)
from operations.statistics import (
    FailingEndpoint,
    NodeHealth,
    QueueLoad,
    RecentJobs,
    failing_endpoints,
    failing_purges,
    jobs_in_quarantine,
    node_healths,
    open_jobs,
    queue_loads,
    recent_jobs,
)
from operations.wiring import node_silence_seconds

_RECENT_SECONDS = 3600

MAX_NODES_SHOWN = 40
MAX_ENDPOINTS_SHOWN = 20


def overview_panels() -> list[Panel]:
    """Build the tables of the overview from the statistics that the API answers."""
    loads, nodes = queue_loads(QUEUES), node_healths(silence_seconds=node_silence_seconds())
    recent = recent_jobs(window_seconds=_RECENT_SECONDS)
    quarantined = jobs_in_quarantine()
    endpoints = failing_endpoints(window_seconds=WEBHOOK_WINDOW_SECONDS)
    dependencies = dependency_checks()
    found = [
        *dependency_alerts(dependencies, run_checks(dependencies, timeout_seconds=WAIT_SECONDS)),
        *alerts(loads, nodes, recent, quarantined=quarantined, purges=failing_purges(), endpoints=endpoints),
    ]
    look_at = [[_alert_link(alert), alert.detail] for alert in found]
    return [
        panel("To look at", ["what", "why"], look_at or [["nothing", ""]]),
        *([_endpoints(endpoints)] if endpoints else []),
        panel("Steps by queue", ["queue", "ready", "delayed", "running", "longest wait"], map(_load_row, loads)),
        panel(
            "Jobs",
            ["queued", "processing", "in quarantine", "completed in an hour", "failed", "cancelled", "mean speed"],
            [_jobs(recent, quarantined)],
        ),
        panel(
            "Nodes",
            ["node", "state", "busy", "slots", "isolation", "last seen"],
            map(_node_row, nodes[:MAX_NODES_SHOWN]),
        ),
    ]


def _alert_link(alert: Alert) -> SafeString:
    """Link an alert to the list that shows more, if there is one."""
    lists = {
        AlertCode.WEBHOOKS_FAIL: f"{reverse('admin:events_delivery_changelist')}?state=failed",
        AlertCode.PURGES_FAIL: f"{reverse('admin:jobs_step_changelist')}?state=delayed",
        AlertCode.JOBS_FAIL: f"{reverse('admin:jobs_job_changelist')}?state=failed",
        AlertCode.QUARANTINE_FULL: f"{reverse('admin:jobs_job_changelist')}?error_code={POISON}",
        AlertCode.WORKER_SILENT: reverse("admin:jobs_node_changelist"),
    }
    shown = badge("failed", alert.code)
    return link(lists[alert.code], shown) if alert.code in lists else shown


def _endpoints(endpoints: Sequence[FailingEndpoint]) -> Panel:
    """Build the table of receivers that do not accept what they are sent."""
    deliveries = reverse("admin:events_delivery_changelist")
    rows = [
        [
            link_to("events_webhookendpoint", each.id, each.url),
            each.owner,
            badge(each.state),
            link(f"{deliveries}?endpoint={each.id}&state=failed", each.failed),
            link(f"{deliveries}?endpoint={each.id}&state=pending", each.retried),
        ]
        for each in endpoints[:MAX_ENDPOINTS_SHOWN]
    ]
    headers = ["endpoint", "owner", "state", "failed in a day", "being retried"]
    return panel("Webhooks that are not accepted", headers, rows)


def _load_row(load: QueueLoad) -> list[object]:
    address = reverse("admin:jobs_step_changelist")
    states = (("ready", load.ready), ("delayed", load.delayed), ("running", load.running))
    return [
        load.queue,
        *(link(f"{address}?state={state}", steps) for state, steps in states),
        f"{load.oldest_ready_seconds:.0f} s",
    ]


def _jobs(recent: RecentJobs, quarantined: int) -> list[object]:
    address, unfinished = reverse("admin:jobs_job_changelist"), open_jobs()
    states = ("queued", "processing")
    pace = f"{recent.mean_speed:.2f} s of video per second" if recent.mean_speed else ""
    return [
        *(link(f"{address}?state={state}", unfinished[state]) for state in states),
        link(f"{address}?error_code={POISON}", quarantined),
        recent.completed,
        recent.failed,
        recent.cancelled,
        pace,
    ]


def _node_row(node: NodeHealth) -> list[object]:
    state = node.state if node.alive else "silent"
    last_seen = f"{node.silent_seconds:.0f} s ago"
    return [link_to("jobs_node", node.name), badge(state), node.busy, node.slots, node.isolation, last_seen]


def overview(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Fill the admin's first page for people who may see jobs: alerts, queues, failures."""
    context["title"] = "Overview"
    if request.user.has_perm("jobs.view_job"):
        context |= {"tables": overview_panels(), "errors_by_code": recent_errors(request)}
    return context
