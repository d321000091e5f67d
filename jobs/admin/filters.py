"""Job list filters."""

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.forms import ActionForm

from api.administration import (
    choice_filter,
)
from jobs.admin.panels import errors_by_code
from jobs.rules.rank import HIGHEST_PRIORITY, LOWEST_PRIORITY
from jobs.rules.transitions import JobPhase


class JobActionForm(ActionForm):
    """The form of the bulk actions on jobs: a priority."""

    priority = forms.IntegerField(
        required=False,
        min_value=LOWEST_PRIORITY,
        max_value=HIGHEST_PRIORITY,
        widget=forms.NumberInput({"placeholder": "priority", "class": "bg-white/20 px-3 py-1 rounded-default w-24"}),
        label="",
    )


class ErrorCodeFilter(admin.SimpleListFilter):
    """By error code: those of recent failures, and the one in the URL."""

    title = "error code"
    parameter_name = "error_code"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        chosen = request.GET.get(self.parameter_name)
        codes = [str(error["code"]) for error in recent_errors(request)]
        return [(code, code) for code in ([chosen] if chosen and chosen not in codes else []) + codes]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(error_code=self.value()) if self.value() else queryset


class PhaseFilter(choice_filter("phase", [phase for phase in JobPhase if phase])):  # type: ignore[misc]
    """By phase. Only unfinished jobs have one; saying so lets PostgreSQL use their index."""

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        found: QuerySet[Any] = super().queryset(request, queryset)
        return found.filter(finished_at=None) if self.value() else found


def recent_errors(request: HttpRequest) -> list[dict[str, object]]:
    """Return the errors by code, from one query per HTTP request."""
    if not hasattr(request, "recent_errors"):
        request.recent_errors = errors_by_code()  # type: ignore[attr-defined]
    found: list[dict[str, object]] = request.recent_errors  # type: ignore[attr-defined]
    return found
