"""Admin pages of jobs."""

from collections.abc import Mapping
from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.safestring import SafeString
from unfold.views import ChangeList

from access.admin import OwnerFilter
from api.administration import (
    Operation,
    ReadOnlyAdmin,
    as_json,
    badge,
    choice_filter,
    link_to,
    uuid_of,
)
from api.problems import invalid_field
from jobs.admin.filters import ErrorCodeFilter, JobActionForm, PhaseFilter, recent_errors
from jobs.admin.panels import job_panels, took
from jobs.lifecycle.services import (
    job_cancel,
    job_force_cpu,
    job_pause,
    job_reprioritize,
    job_resume,
    job_retry,
    retry_refusal,
)
from jobs.models import Job, OutputDelivery
from jobs.planning.fallback import job_on_gpu
from jobs.reports.selectors import job_views
from jobs.rules.rank import HIGHEST_PRIORITY, LOWEST_PRIORITY
from jobs.rules.retry import POISON
from jobs.rules.transitions import JOB_ENDS, JobState
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
    if not _in_quarantine(job):
        raise invalid_field("job", "is not in quarantine", code="not_in_quarantine", status=409)
    _retry(job, entered)


def _reprioritize(job: Job, entered: Mapping[str, str]) -> None:
    text = entered.get("priority", "")
    if not text.isdecimal() or not LOWEST_PRIORITY <= int(text) <= HIGHEST_PRIORITY:
        raise invalid_field("priority", f"give a whole number from {LOWEST_PRIORITY} to {HIGHEST_PRIORITY}")
    job_reprioritize(owner=job.owner, job_id=job.id, priority=int(text), rank=job_policy().rank)


def _force_cpu(job: Job, _entered: Mapping[str, str]) -> None:
    job_force_cpu(owner=job.owner, job_id=job.id, policy=job_policy())


def _in_quarantine(job: Job) -> bool:
    return job.state == JobState.FAILED and job.error_code == POISON


def _released(job: Job) -> bool:
    return _in_quarantine(job) and retry_refusal(job, job.video) is None


def _retried(job: Job) -> bool:
    return not _in_quarantine(job) and retry_refusal(job, job.video) is None


def _paused(job: Job) -> bool:
    return job.state == JobState.PAUSED


def _at_work(job: Job) -> bool:
    return not _paused(job) and _open(job)


def _open(job: Job) -> bool:
    return job.state not in JOB_ENDS


class JobList(ChangeList):
    """A page of jobs, each with its `JobView` from one query for all."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        jobs: list[Any] = list(self.result_list)  # type: ignore[has-type]
        for job, view in zip(jobs, job_views(jobs), strict=True):
            job.view = view
        self.result_list = jobs


@admin.register(Job)
class JobAdmin(ReadOnlyAdmin):
    """All jobs, newest first, with their errors, and actions that retry, pause, resume, cancel or reprioritize them."""

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
        "shown_state", "phase", "shown_progress", "priority", "error_code", "error_detail", "error_details",
        "error_retryable",
        "owner_name", "video_link", "external_id", "shown_delivery", "shown_request", "shown_metadata",
        "created_at", "started_at", "playable_at", "finished_at", "speed",
    )  # fmt: skip
    operations = (
        Operation(name="retry", label="Retry", run=_retry, available=_retried),
        Operation(name="release", label="Release from quarantine", run=_release, available=_released),
        Operation(name="pause", label="Pause", run=_pause, available=_at_work),
        Operation(name="resume", label="Resume", run=_resume, available=_paused),
        Operation(
            name="cancel",
            label="Cancel",
            run=_cancel,
            available=_open,
            warning="A cancelled job stops at once, and players lose what is not complete. Until the janitor deletes"
            " its segments, a retry resumes it.",
        ),
        Operation(
            name="cpu",
            label="Force CPU",
            run=_force_cpu,
            available=lambda job: _at_work(job) and job_on_gpu(job),
            warning="What the GPU has encoded so far is deleted. The CPU starts at the beginning.",
        ),
        Operation(name="reprioritise", label="Set priority", run=_reprioritize, available=_open, input_name="priority"),
    )

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[JobList]:
        return JobList

    def get_queryset(self, request: HttpRequest) -> QuerySet[Job]:
        jobs: QuerySet[Job] = super().get_queryset(request)
        return jobs.select_related("owner", "video", "delivery")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Job], search_term: str
    ) -> tuple[QuerySet[Job], bool]:
        """Search the columns that have an index."""
        if not search_term:
            return queryset, False
        id_ = uuid_of(search_term)
        found = Q(id=id_) | Q(video=id_) if id_ else Q(external_id=search_term) & ~Q(external_id="")
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

    @admin.display(description="delivery")
    def shown_delivery(self, job: Job) -> str:
        row: OutputDelivery | None = getattr(job, "delivery", None)
        if row is None:
            return ""
        error = f": {row.error_code}: {row.error_detail}" if row.error_code else ""
        return f"{row} ({row.state}, {row.files_done} of {row.files or '?'} files{error})"

    @admin.display(description="request")
    def shown_request(self, job: Job) -> SafeString:
        return as_json(job.request)

    @admin.display(description="metadata")
    def shown_metadata(self, job: Job) -> SafeString:
        return as_json(job.client_metadata | job.metadata)


def _view(job: Any) -> Any:
    """Return the job's `JobView`; `JobList` has set it on the rows of a list."""
    if not hasattr(job, "view"):
        (job.view,) = job_views([job])
    return job.view
