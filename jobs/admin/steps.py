"""Admin pages of steps."""

import shlex
from collections.abc import Sequence
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString

from api.administration import (
    ReadOnlyAdmin,
    as_json,
    badge,
    choice_filter,
    link_to,
    preformatted,
    uuid_of,
)
from jobs.admin.panels import log_of, step_command, step_runs, took, units_of, worker_of
from jobs.models import Step
from jobs.rules.steps import QUEUES, StepKind
from jobs.rules.transitions import StepState
from jobs.wiring import job_policy


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
    """Steps: of one job in order, failed ones newest first, all others by id, as there may be millions."""

    list_display = (
        "name", "shown_state", "job_link", "units", "attempt", "failures", "worker", "device", "error_code",
        "claimed_at", "took",
    )  # fmt: skip
    list_display_links = ("name",)
    readonly_fields = (
        "name", "shown_state", "job_link", "queue", "encoder", "units", "attempt", "failures",
        "attempts_without_progress", "worker", "device", "error_code", "error_detail", "log_tail", "command",
        "shown_result", "shown_payload",
        "created_at", "claimed_at", "lease_expires_at", "not_before", "finished_at", "took",
    )  # fmt: skip
    change_form_outer_after_template = "administration/tables.html"

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
