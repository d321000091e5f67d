import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.safestring import SafeString
from unfold.forms import ActionForm
from unfold.views import ChangeList

from access.admin import OwnerFilter
from api.administration import (
    Operation,
    ReadOnlyAdmin,
    as_json,
    badge,
    choice_filter,
    link_to,
    preformatted,
    uuid_of,
)
from api.problems import wrong_field
from jobs.leasing.nodes import node_order
from jobs.lifecycle.services import job_cancel, job_force_cpu, job_pause, job_reprioritize, job_resume, job_retry
from jobs.models import QUEUES, Job, Node, NodeState, Step
from jobs.planning.fallback import job_on_gpu
from jobs.reports.panels import (
    errors_by_code,
    job_panels,
    log_of,
    node_panels,
    overview_panels,
    step_command,
    step_runs,
    took,
    worker_of,
)
from jobs.reports.selectors import job_views
from jobs.rules.rank import HIGHEST_PRIORITY, LOWEST_PRIORITY
from jobs.rules.retry import POISON
from jobs.rules.transitions import JOB_ENDS, JOB_RETRIED, JobPhase, JobState, StepKind, StepState
from jobs.wiring import job_policy


def _cancel(job: Job, _entered: Mapping[str, str]) -> None:
    job_cancel(owner=job.owner, job_id=job.id)


def _pause(job: Job, _entered: Mapping[str, str]) -> None:
    job_pause(owner=job.owner, job_id=job.id)


def _resume(job: Job, _entered: Mapping[str, str]) -> None:
    job_resume(owner=job.owner, job_id=job.id, policy=job_policy())


def _retry(job: Job, _entered: Mapping[str, str]) -> None:
    job_retry(owner=job.owner, job_id=job.id, policy=job_policy())


def _release(job: Job, entered: Mapping[str, str]) -> None:
    if not _poisoned(job):
        raise wrong_field("job", "is not in quarantine", code="not_in_quarantine", status=409)
    _retry(job, entered)


def _reprioritize(job: Job, entered: Mapping[str, str]) -> None:
    text = entered.get("priority", "")
    if not text.isdecimal() or not LOWEST_PRIORITY <= int(text) <= HIGHEST_PRIORITY:
        raise wrong_field("priority", f"give a whole number from {LOWEST_PRIORITY} to {HIGHEST_PRIORITY}")
    job_reprioritize(owner=job.owner, job_id=job.id, priority=int(text), rank=job_policy().rank)


def _force_cpu(job: Job, _entered: Mapping[str, str]) -> None:
    job_force_cpu(owner=job.owner, job_id=job.id, policy=job_policy())


def _poisoned(job: Job) -> bool:
    return job.state == JobState.FAILED and job.error_code == POISON


def _ended_early(job: Job) -> bool:
    return job.state in JOB_RETRIED and not _poisoned(job)


def _paused(job: Job) -> bool:
    return job.state == JobState.PAUSED


def _at_work(job: Job) -> bool:
    return not _paused(job) and _open(job)


def _open(job: Job) -> bool:
    return job.state not in JOB_ENDS


class JobActionForm(ActionForm):
    """What the orders to several jobs take."""

    priority = forms.IntegerField(
        required=False,
        min_value=LOWEST_PRIORITY,
        max_value=HIGHEST_PRIORITY,
        widget=forms.NumberInput({"placeholder": "priority", "class": "bg-white/20 px-3 py-1 rounded-default w-24"}),
        label="",
    )


class ErrorCodeFilter(admin.SimpleListFilter):
    """By error code: those that jobs failed with lately, and the one that was asked for."""

    title = "error code"
    parameter_name = "error_code"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        asked = request.GET.get(self.parameter_name)
        codes = [str(error["code"]) for error in recent_errors(request)]
        return [(code, code) for code in ([asked] if asked and asked not in codes else []) + codes]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(error_code=self.value()) if self.value() else queryset


class PhaseFilter(choice_filter("phase", [phase for phase in JobPhase if phase])):  # type: ignore[misc]
    """By phase. Jobs that have one are unfinished, and for those there is an index."""

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        found: QuerySet[Any] = super().queryset(request, queryset)
        return found.filter(finished_at=None) if self.value() else found


def recent_errors(request: HttpRequest) -> list[dict[str, object]]:
    """Errors by code, asked for once in a request."""
    if not hasattr(request, "recent_errors"):
        request.recent_errors = errors_by_code()  # type: ignore[attr-defined]
    found: list[dict[str, object]] = request.recent_errors  # type: ignore[attr-defined]
    return found


class JobList(ChangeList):
    """A page of jobs that know their progress."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        jobs: list[Any] = list(self.result_list)  # type: ignore[has-type]
        for job, view in zip(jobs, job_views(jobs), strict=True):
            job.view = view
        self.result_list = jobs


@admin.register(Job)
class JobAdmin(ReadOnlyAdmin):
    """All jobs, newest first; why one failed; orders to go on or to stop."""

    list_display = (
        "id", "shown_state", "phase", "shown_progress", "priority", "owner_name", "filename", "error_code",
        "created_at", "duration",
    )  # fmt: skip
    list_filter = (
        choice_filter("state", JobState),
        PhaseFilter,
        ErrorCodeFilter,
        ("created_at", admin.DateFieldListFilter),
        OwnerFilter,
    )
    list_select_related = ("owner", "video")
    list_before_template = "administration/errors_by_code.html"
    ordering = ("-created_at", "-id")
    search_fields = ("id",)
    search_help_text = "A job's or a video's id, or your own name for the job"
    action_form = JobActionForm
    change_form_outer_after_template = "administration/tables.html"
    readonly_fields = (
        "shown_state", "phase", "shown_progress", "priority", "error_code", "error_detail", "error_retryable",
        "owner_name", "video_link", "external_id", "shown_request", "shown_metadata",
        "created_at", "started_at", "playable_at", "finished_at", "speed",
    )  # fmt: skip
    operations = (
        Operation(name="retry", label="Retry", run=_retry, offered=_ended_early),
        Operation(name="release", label="Release from quarantine", run=_release, offered=_poisoned),
        Operation(name="pause", label="Pause", run=_pause, offered=_at_work),
        Operation(name="resume", label="Resume", run=_resume, offered=_paused),
        Operation(name="cancel", label="Cancel", run=_cancel, offered=_open),
        Operation(name="cpu", label="Force CPU", run=_force_cpu, offered=lambda job: _at_work(job) and job_on_gpu(job)),
        Operation(name="reprioritise", label="Set priority", run=_reprioritize, offered=_open, asks="priority"),
    )

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[JobList]:
        return JobList

    def get_queryset(self, request: HttpRequest) -> QuerySet[Job]:
        jobs: QuerySet[Job] = super().get_queryset(request)
        return jobs.select_related("owner", "video")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Job], search_term: str
    ) -> tuple[QuerySet[Job], bool]:
        """By what has an index."""
        if not search_term:
            return queryset, False
        wanted = uuid_of(search_term)
        found = Q(id=wanted) | Q(video=wanted) if wanted else Q(external_id=search_term) & ~Q(external_id="")
        return queryset.filter(found), False

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        context = {**(extra_context or {}), "errors_by_code": recent_errors(request)}
        answer: HttpResponse = super().changelist_view(request, context)
        return answer

    def panels(self, request: HttpRequest, row: Job) -> dict[str, object]:
        return {"tables": job_panels(row)}

    @admin.display(description="state")
    def shown_state(self, job: Job) -> SafeString:
        return badge(job.state)

    @admin.display(description="progress")
    def shown_progress(self, job: Job) -> str:
        return f"{_view(job).progress} %"

    @admin.display(description="speed")
    def speed(self, job: Job) -> str:
        view = _view(job)
        pace = f"{view.speed} s of video per second" if view.speed else ""
        return f"{pace}, {view.eta_seconds} s left" if view.eta_seconds else pace

    @admin.display(description="owner")
    def owner_name(self, job: Job) -> str:
        return job.owner.name

    @admin.display(description="video")
    def filename(self, job: Job) -> str:
        return job.video.filename

    @admin.display(description="video")
    def video_link(self, job: Job) -> str:
        return link_to("videos_video", job.video_id, job.video.filename)

    @admin.display(description="took")
    def duration(self, job: Job) -> str:
        return took(job.started_at, job.finished_at)

    @admin.display(description="request")
    def shown_request(self, job: Job) -> SafeString:
        return as_json(job.request)

    @admin.display(description="metadata")
    def shown_metadata(self, job: Job) -> SafeString:
        return as_json(job.client_metadata | job.metadata)


class StepJobFilter(admin.SimpleListFilter):
    """The job that links lead from; it is offered nowhere."""

    title = "job"
    parameter_name = "job"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        asked = request.GET.get(self.parameter_name, "")
        return [(asked, asked)]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        chosen = uuid_of(self.value() or "")
        return queryset.filter(job=chosen) if chosen else queryset


_INDEXED_STATES = (StepState.FAILED, StepState.RUNNING, StepState.DELAYED, StepState.READY)


def _job_asked(request: HttpRequest) -> bool:
    return uuid_of(request.GET.get(StepJobFilter.parameter_name, "")) is not None


@admin.register(Step)
class StepAdmin(ReadOnlyAdmin):
    """Steps of a job in their order, those that failed newest first, or of all jobs in none: there may be millions."""

    list_display = (
        "name", "shown_state", "job_link", "units", "attempt", "failures", "worker", "device", "error_code",
        "claimed_at", "took",
    )  # fmt: skip
    list_display_links = ("name",)
    readonly_fields = (
        "name", "shown_state", "job_link", "queue", "encoder", "units", "attempt", "failures", "barren_attempts",
        "worker", "device", "error_code", "error_detail", "log_tail", "command", "shown_result", "shown_payload",
        "created_at", "claimed_at", "lease_expires_at", "not_before", "finished_at", "took",
    )  # fmt: skip
    change_form_outer_after_template = "administration/tables.html"

    def get_list_filter(self, request: HttpRequest) -> Sequence[type[admin.SimpleListFilter]]:
        """Within a job by anything, otherwise by what has an index."""
        if _job_asked(request):
            return (
                choice_filter("state", StepState),
                choice_filter("kind", StepKind),
                choice_filter("queue", QUEUES),
                StepJobFilter,
            )
        return (choice_filter("state", _INDEXED_STATES), StepJobFilter)

    def get_ordering(self, request: HttpRequest) -> Sequence[str]:
        if _job_asked(request):
            return ("kind", "ordinal", "id")
        return ("-finished_at", "-id") if request.GET.get("state") == StepState.FAILED else ("-id",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Step]:
        steps: QuerySet[Step] = super().get_queryset(request)
        return steps.select_related("generation") if request.resolver_match.url_name.endswith("_change") else steps  # type: ignore[union-attr]

    def panels(self, request: HttpRequest, row: Step) -> dict[str, object]:
        return {"tables": [step_runs(row)]}

    @admin.display(description="step")
    def name(self, step: Step) -> str:
        return f"{step.kind} {step.ordinal}"

    @admin.display(description="state")
    def shown_state(self, step: Step) -> SafeString:
        return badge(step.state)

    @admin.display(description="job")
    def job_link(self, step: Step) -> str:
        return link_to("jobs_job", step.job_id)

    @admin.display(description="segments")
    def units(self, step: Step) -> str:
        return f"{step.units_done} of {step.units_total}"

    @admin.display(description="worker")
    def worker(self, step: Step) -> str:
        return worker_of(step)

    @admin.display(description="took")
    def took(self, step: Step) -> str:
        return took(step.claimed_at, step.finished_at)

    @admin.display(description="log")
    def log_tail(self, step: Step) -> SafeString:
        return preformatted(log_of(step.result))

    @admin.display(description="command")
    def command(self, step: Step) -> SafeString:
        return preformatted(shlex.join(step_command(step, job_policy())))

    @admin.display(description="result")
    def shown_result(self, step: Step) -> SafeString:
        return as_json({name: value for name, value in (step.result or {}).items() if name != "log"})

    @admin.display(description="payload")
    def shown_payload(self, step: Step) -> SafeString:
        return as_json(step.payload)


@admin.register(Node)
class NodeAdmin(ReadOnlyAdmin):
    """Workers as they last described themselves; drained before their machine goes."""

    list_display = ("name", "shown_state", "queues", "slots", "pid", "started_at", "last_seen")
    list_filter = (choice_filter("state", NodeState.values),)
    readonly_fields = ("name", "shown_state", "queues", "slots", "pid", "shown_info", "started_at", "last_seen")
    ordering = ("name",)
    change_form_outer_after_template = "administration/tables.html"
    operations = (
        Operation(
            name="drain",
            label="Drain",
            run=lambda node, _: node_order(name=node.name, state=NodeState.DRAINING),
            offered=lambda node: node.state == NodeState.ACTIVE,
        ),
        Operation(
            name="activate",
            label="Take steps again",
            run=lambda node, _: node_order(name=node.name, state=NodeState.ACTIVE),
            offered=lambda node: node.state == NodeState.DRAINING,
        ),
    )

    def panels(self, request: HttpRequest, row: Node) -> dict[str, object]:
        return {"tables": node_panels(row)}

    @admin.display(description="state")
    def shown_state(self, node: Node) -> SafeString:
        return badge(node.state)

    @admin.display(description="info")
    def shown_info(self, node: Node) -> SafeString:
        return as_json(node.info)


def overview(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """What the admin's first page says to who may see jobs: what to look at, what waits, what failed."""
    context["title"] = "Overview"
    if request.user.has_perm("jobs.view_job"):
        context |= {"tables": overview_panels(), "errors_by_code": recent_errors(request)}
    return context


def _view(job: Any) -> Any:
    """What clients see of a job; a list has it from one query for all of them."""
    if not hasattr(job, "view"):
        (job.view,) = job_views([job])
    return job.view
