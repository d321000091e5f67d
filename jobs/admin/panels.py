"""Tables on the admin pages of jobs, steps and nodes. The number of queries does not depend on the number of rows."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Case, Count, IntegerField, Sum, Value, When
from django.db.models.functions import Now
from django.urls import reverse

from api.administration import Panel, badge, link, link_to, panel
from gpu.models import DeviceReport
from jobs.models import Job, Node, Step
from jobs.planning.requests import job_request
from jobs.rules.policy import JobPolicy
from jobs.rules.transitions import JobState, StepState
from transcoding.explanation.reasons import explain
from transcoding.explanation.steps import PlannedStep, planned_step
from transcoding.planning.plan import EncodePlan
from videos.models import Generation, SegmentRun

MAX_STEPS = 40
"""Steps shown on a job's page; a feature film has hundreds."""

MAX_CHUNKS = 20

_FIRST = (StepState.FAILED, StepState.RUNNING, StepState.DELAYED, StepState.READY, StepState.WAITING)

_ERROR_DAYS = 7

_MAX_ERRORS = 1000


def errors_by_code() -> list[dict[str, object]]:
    """Count the failed jobs of the last seven days, at most the newest thousand, by error code; most frequent first."""
    failed = Job.objects.filter(state=JobState.FAILED, created_at__gt=Now() - timedelta(days=_ERROR_DAYS))
    codes = failed.order_by("-created_at", "-id").values_list("error_code", flat=True)[:_MAX_ERRORS]
    return [{"code": code, "jobs": jobs} for code, jobs in Counter(codes).most_common()]


def job_panels(job: Job) -> list[Panel]:
    """Build the tables of a job's steps and plan."""
    plan = plan_read(job.generation)
    panels = [_step_counts(job), _steps(job)]
    return panels + list(_plan_panels(plan, job)) if plan else panels


def _step_counts(job: Job) -> Panel:
    totals = {"steps": Count("id"), "tries": Sum("attempt"), "charged": Sum("failures")}
    counted = Step.objects.filter(job=job).values("kind", "state").annotate(**totals).order_by("kind", "state")
    rows = counted.values_list("kind", "state", *totals)
    url = f"{reverse('admin:jobs_step_changelist')}?job={job.id}"
    link_text = link(url, "All steps of this job")
    return panel("Steps by state", ["kind", "state", "steps", "attempts", "failures"], rows, caption=link_text)


def _steps(job: Job) -> Panel:
    order = Case(
        *(When(state=state.value, then=Value(position)) for position, state in enumerate(_FIRST)),
        default=Value(len(_FIRST)),
        output_field=IntegerField(),
    )
    steps = Step.objects.filter(job=job).defer("payload", "result").order_by(order, "kind", "ordinal")
    headers = ["step", "state", "segments", "attempts", "worker", "started", "took", "error"]
    order_text = f"Failed and running steps first; {MAX_STEPS} at most."
    return panel("Steps", headers, map(_step_row, steps[:MAX_STEPS]), caption=order_text)


def _step_row(step: Step) -> list[object]:
    return [
        link_to("jobs_step", step.id, f"{step.kind} {step.ordinal}"),
        badge(step.state),
        units_of(step),
        step.attempt,
        worker_of(step),
        step.claimed_at or "",
        took(step.claimed_at, step.finished_at),
        f"{step.error_code}: {step.error_detail}" if step.error_code else "",
    ]


def units_of(step: Step) -> str:
    """Return how many segments a step has published, and of how many; empty for steps without segments."""
    if step.units_total is None:
        return f"{step.units_done}, open"
    return f"{step.units_done} of {step.units_total}" if step.units_total else ""


def worker_of(step: Step) -> str:
    """Name the node and process that run a step, or ran it last."""
    return f"{step.node}, process {step.worker_pid}" if step.node else ""


def took(start: datetime | None, end: datetime | None) -> str:
    """Format the seconds between two times; empty where one is missing."""
    return f"{(end - start).total_seconds():.1f} s" if start and end else ""


def plan_read(generation: Generation | None) -> EncodePlan | None:
    """Read a generation's plan. None: there is none, or another version of the program wrote it."""
    try:
        return EncodePlan.from_json(generation.plan) if generation else None
    except ValueError:
        return None


def _plan_panels(plan: EncodePlan, job: Job) -> Iterator[Panel]:
    rungs = [
        [rung.name, f"{rung.width}x{rung.height}", f"{rung.bitrate // 1000} kbit/s", rung.codecs]
        for rung in plan.renditions
    ]
    rungs += [[track.name, "", f"{track.bitrate // 1000} kbit/s", track.codecs] for track in plan.audio]
    yield panel("Plan: renditions", ["name", "size", "bit rate", "codecs"], rungs)
    reasons = [[reason.choice, reason.value, reason.because] for reason in explain(plan, job_request(job.request))]
    yield panel("Plan: why", ["choice", "value", "because"], reasons)
    if plan.audio_only:
        return
    chunks = [[chunk.ordinal, chunk.first_segment, chunk.segments] for chunk in plan.chunks[:MAX_CHUNKS]]
    total = f"{len(plan.chunks)} in all." if len(plan.chunks) > MAX_CHUNKS else ""
    yield panel("Plan: chunks", ["chunk", "first segment", "segments"], chunks, caption=total)


def step_command(step: Step, policy: JobPolicy) -> Sequence[str]:
    """Return the ffmpeg arguments of a planned step of which nothing is published; empty for other kinds of steps."""
    plan = plan_read(step.generation)
    found = _planned(plan, step, policy) if plan else None
    return found.command if found else ()


def _planned(plan: EncodePlan, step: Step, policy: JobPolicy) -> PlannedStep | None:
    return planned_step(
        plan, kind=step.kind, ordinal=step.ordinal, threads=policy.ffmpeg_threads, max_pixels=policy.max_pixels
    )


@dataclass(frozen=True, slots=True)
class _Published:
    """Segments of one rendition that one attempt published."""

    attempt: int
    rendition: str
    segments: list[str]
    last: datetime


def step_runs(step: Step) -> Panel:
    """Build the table of the segments that each attempt of a step published."""
    runs = SegmentRun.objects.filter(rendition__generation=step.generation_id, step_id=step.id)
    found: dict[tuple[int, str], _Published] = {}
    columns = ("attempt", "rendition__name", "first_segment", "segment_count", "published_at")
    for attempt, name, first, count, published in runs.order_by("attempt", "first_segment").values_list(*columns):
        row = found.setdefault((attempt, name), _Published(attempt, name, [], published))
        row.segments.append(f"{first}" if count == 1 else f"{first} to {first + count - 1}")
    rows = [[each.attempt, each.rendition, ", ".join(each.segments), each.last] for each in found.values()]
    return panel("Published by attempt", ["attempt", "rendition", "segments", "first at"], rows)


def node_panels(node: Node) -> list[Panel]:
    """Build the tables of a node's running steps and of its GPUs."""
    return [_held(node), _devices(node)]


def _held(node: Node) -> Panel:
    held = Step.objects.filter(state=StepState.RUNNING, node=node.name).defer("payload", "result")
    rows = [
        [
            link_to("jobs_step", step.id, f"{step.kind} {step.ordinal}"),
            link_to("jobs_job", step.job_id),
            units_of(step),
            step.worker_pid,
            step.device,
            step.claimed_at,
            step.lease_expires_at,
        ]
        for step in held.order_by("claimed_at")[:MAX_STEPS]
    ]
    return panel("Running steps", ["step", "job", "segments", "process", "GPU", "started", "lease ends"], rows)


def _devices(node: Node) -> Panel:
    found = DeviceReport.objects.filter(node=node.name).order_by("index", "id")
    rows = [
        [link_to("gpu_devicereport", each.id, each.name), each.slots, each.error, each.reported_at] for each in found
    ]
    return panel("GPUs", ["name", "slots", "error", "reported at"], rows)


def log_of(result: Mapping[str, Any] | None) -> str:
    """Return the end of a failed attempt's log, from its step's result."""
    return str((result or {}).get("log", ""))
