"""Admin pages of steps."""

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString

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
from api.problems import invalid_field
from jobs.admin.panels import log_of, step_command, step_runs, took, units_of, worker_of
from jobs.lifecycle.texts import texts_retry
from jobs.lifecycle.thumbnails import thumbnails_request
from jobs.models import Step
from jobs.rules.steps import QUEUES, STEPS, Loss, StepKind
from jobs.rules.transitions import StepState
from jobs.wiring import job_policy
from transcoding.planning.thumbnails import ThumbnailRequest
from videos.models import Thumbnails, Video
from videos.states import ThumbnailState, VideoState
from videos.texts.selectors import failed_texts


@dataclass(frozen=True, slots=True)
class _Recovery:
    """Check and request for something that a video has lost."""

    lost: Callable[[Video], bool]
    request: Callable[[Video], object]


def _images_lost(video: Video) -> bool:
    return Thumbnails.objects.filter(video=video, state=ThumbnailState.FAILED).exists()


def _images_request(video: Video) -> None:
    request = ThumbnailRequest.from_json(Thumbnails.objects.get(video=video).request)
    thumbnails_request(owner=video.owner, video_id=video.id, request=request)


_RECOVERIES: Mapping[Loss, _Recovery] = {
    Loss.IMAGES: _Recovery(_images_lost, _images_request),
    Loss.TEXTS: _Recovery(
        lambda video: video.source_deleted_at is None and failed_texts(video).exists(),
        lambda video: texts_retry(owner=video.owner, video_id=video.id),
    ),
}


def _recovery(step: Step) -> _Recovery | None:
    """Return how to retry a failed step by itself. None: it is retried with its job, or nothing is lost any more."""
    recovery = _RECOVERIES.get(loss) if (loss := STEPS[StepKind(step.kind)].loss) else None
    video = step.video
    if recovery is None or video is None or step.state != StepState.FAILED or video.state != VideoState.READY:
        return None
    return recovery if recovery.lost(video) else None


def _retry(step: Step, _entered: Mapping[str, str]) -> None:
    recovery = _recovery(step)
    if recovery is None or step.video is None:
        raise invalid_field("step", "cannot be retried by itself", code="step_not_retryable", status=409)
    recovery.request(step.video)


class StepJobFilter(admin.SimpleListFilter):
    """By job, from links on a job's page; the sidebar does not offer it."""

    title = "job"
    parameter_name = "job"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        job = request.GET.get(self.parameter_name, "")
        return [(job, job)]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        chosen = uuid_of(self.value() or "")
        return queryset.filter(job=chosen) if chosen else queryset


_INDEXED_STATES = (StepState.FAILED, StepState.RUNNING, StepState.DELAYED, StepState.READY)


def _has_job_filter(request: HttpRequest) -> bool:
    return uuid_of(request.GET.get(StepJobFilter.parameter_name, "")) is not None


@admin.register(Step)
class StepAdmin(ReadOnlyAdmin):
    """Steps: of one job in order, failed ones newest first, all others by id, as there may be millions.

    Failed ones that no job has to be retried for can be retried by themselves.
    """

    list_display = (
        "name", "shown_state", "job_link", "units", "attempt", "failures", "worker", "device", "error_code",
        "claimed_at", "took",
    )  # fmt: skip
    list_display_links = ("name",)
    readonly_fields = (
        "name", "shown_state", "job_link", "video_link", "queue", "encoder", "units", "attempt", "failures",
        "attempts_without_progress", "worker", "device", "error_code", "error_detail", "log_tail", "command",
        "shown_result", "shown_payload",
        "created_at", "claimed_at", "lease_expires_at", "not_before", "finished_at", "took",
    )  # fmt: skip
    change_form_outer_after_template = "administration/tables.html"
    operations = (
        Operation(name="retry", label="Retry", run=_retry, available=lambda step: _recovery(step) is not None),
    )

    def get_list_filter(self, request: HttpRequest) -> Sequence[type[admin.SimpleListFilter]]:
        """Offer every filter within one job, and otherwise those that have an index."""
        if _has_job_filter(request):
            return (
                choice_filter("state", StepState),
                choice_filter("kind", StepKind),
                choice_filter("queue", QUEUES),
                StepJobFilter,
            )
        return (choice_filter("state", _INDEXED_STATES), StepJobFilter)

    def get_ordering(self, request: HttpRequest) -> Sequence[str]:
        if _has_job_filter(request):
            return ("kind", "ordinal", "id")
        return ("-finished_at", "-id") if request.GET.get("state") == StepState.FAILED else ("-id",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Step]:
        steps: QuerySet[Step] = super().get_queryset(request)
        on_page = request.resolver_match and (request.resolver_match.url_name or "").endswith("_change")
        return steps.select_related("generation", "video__owner") if on_page else steps

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

    @admin.display(description="video")
    def video_link(self, step: Step) -> str:
        return link_to("videos_video", step.video_id)

    @admin.display(description="segments")
    def units(self, step: Step) -> str:
        return units_of(step)

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
