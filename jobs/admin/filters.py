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
