"""Base of the admin's pages: lists without counting queries, and operations that call services.

Rows are read-only. Changes go through services, which take the locks and keep the invariants.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar
from uuid import UUID

from django.contrib import admin, messages
from django.contrib.admin.options import ShowFacets
from django.core.exceptions import PermissionDenied
from django.db.models import Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.views.decorators.http import require_POST
from unfold.admin import ModelAdmin
from unfold.paginator import InfinitePaginator

from api.problems import Problem
from transcoding.errors import TranscodeError

PAGE = 50
_CONFIRMED = "confirmed"
_CSRF = "csrfmiddlewaretoken"
Panel = dict[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """Operation of an operator on one row."""

    name: str
    label: str
    run: Callable[[Any, Mapping[str, str]], object]
    """Calls a service with the row and the form's values. Raises Problem."""
    available: Callable[[Any], bool] = lambda _: True
    """Returns True for rows whose page shows the button."""
    input_name: str = ""
    """Name of the number that the operator enters; empty: none."""
    input_max: int = 100
    warning: str = ""
    """Names what cannot be undone. The operator reads it and confirms; empty: nothing is lost."""


class ReadOnlyAdmin(ModelAdmin):
    """Read-only pages of rows. Lists are not counted, and not sorted by columns without an index."""

    operations: ClassVar[tuple[Operation, ...]] = ()
    paginator = InfinitePaginator
    show_full_result_count = False
    show_facets = ShowFacets.NEVER
    sortable_by = ()
    list_per_page = PAGE
    list_disable_select_all = True
    list_filter_sheet = False
    list_fullwidth = True
    change_form_outer_before_template = "administration/operations.html"
    hidden_without_error: ClassVar[tuple[str, ...]] = ("error_code", "error_detail", "error_details", "error_retryable")
    """Fields of a row's page that only say something where there is an error."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return self._has_permission(request, "view") or self.has_operate_permission(request)

    def has_operate_permission(self, request: HttpRequest) -> bool:
        """Return True if the user may run operations: Django's permission to change the model."""
        return self._has_permission(request, "change")

    def _has_permission(self, request: HttpRequest, action: str) -> bool:
        permitted: bool = request.user.has_perm(f"{self.opts.app_label}.{action}_{self.opts.model_name}")
        return permitted

    def get_fields(self, request: HttpRequest, obj: Model | None = None) -> Any:
        fields: Sequence[Any] = self.fields or self.readonly_fields
        if obj is None or bool(getattr(obj, "error_code", None)):
            return fields
        return tuple(name for name in fields if name not in self.hidden_without_error)

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        if not self.has_operate_permission(request):
            return {}
        return {operation.name: (_action(operation), operation.name, operation.label) for operation in self.operations}

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(require_POST(self._operate_view))
        name = f"{self.opts.app_label}_{self.opts.model_name}_operate"
        own: list[URLPattern] = [path("<path:object_id>/operate/<slug:operation>/", view, name=name)]
        return [*own, *super().get_urls()]

    def _operate_view(self, request: HttpRequest, object_id: str, operation: str) -> HttpResponse:
        if not self.has_operate_permission(request):
            raise PermissionDenied
        row = self.get_object(request, object_id)
        match = next((each for each in self.operations if each.name == operation), None)
        if row is None or match is None:
            raise Http404
        if _unconfirmed(request, match):
            return self.confirmation(request, match, [row])
        self.operate(request, match, [row])
        page = reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_change", args=[object_id])
        return HttpResponseRedirect(page)

    def confirmation(self, request: HttpRequest, operation: Operation, rows: Iterable[Model]) -> HttpResponse:
        """Show what an operation would be run on. The page sends the same request again, confirmed."""
        entered = [(name, value) for name, values in request.POST.lists() for value in values if name != _CSRF]
        context = {
            **self.admin_site.each_context(request),
            "title": operation.label,
            "operation": operation,
            "rows": [{"id": str(row.pk), "name": str(row)} for row in rows],
            "kind": self.opts.verbose_name,
            "entered": entered,
            "back": request.headers.get("referer", ""),
            "opts": self.opts,
        }
        return TemplateResponse(request, "administration/confirmation.html", context)

    def operate(self, request: HttpRequest, operation: Operation, rows: Iterable[Model]) -> None:
        """Run an operation on each row separately, report the outcomes, and log who did it."""
        done = 0
        for row in rows:
            try:
                operation.run(row, request.POST)
            except (Problem, TranscodeError) as error:
                self.message_user(request, f"{row.pk}: {error}", messages.ERROR)
            else:
                done += 1
                self.log_change(request, row, operation.label)
        if done:
            count = f" ({done})" if done > 1 else ""
            self.message_user(request, f"{operation.label}: done{count}.", messages.SUCCESS)

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        row = context["original"]
        if row is not None:
            context["subtitle"] = str(row.pk)
            context["operations"] = self._available(request, row)
            context |= self.panels(request, row)
        return super().render_change_form(request, context, *args, **kwargs)

    def _available(self, request: HttpRequest, row: Model) -> list[dict[str, object]]:
        if not self.has_operate_permission(request):
            return []
        name = f"admin:{self.opts.app_label}_{self.opts.model_name}_operate"
        return [
            {
                "label": each.label,
                "input_name": each.input_name,
                "input_max": each.input_max,
                "url": reverse(name, args=[row.pk, each.name]),
            }
            for each in self.operations
            if each.available(row)
        ]

    def panels(self, request: HttpRequest, row: Any) -> dict[str, object]:
        """Build the context for the parts of a row's page besides its fields."""
        return {}


def _action(operation: Operation) -> Callable[[ReadOnlyAdmin, HttpRequest, QuerySet[Any]], HttpResponse | None]:
    def act(model_admin: ReadOnlyAdmin, request: HttpRequest, rows: QuerySet[Any]) -> HttpResponse | None:
        if _unconfirmed(request, operation):
            return model_admin.confirmation(request, operation, rows)
        model_admin.operate(request, operation, rows)
        return None

    return act


def _unconfirmed(request: HttpRequest, operation: Operation) -> bool:
    return bool(operation.warning) and request.POST.get(_CONFIRMED) != "yes"


def choice_filter(field: str, values: Iterable[str], *, title: str = "") -> type[admin.SimpleListFilter]:
    """Create a filter by the given values of a field, without a query for the existing ones."""
    choices = [(str(value), str(value)) for value in values]

    class ChoiceFilter(admin.SimpleListFilter):
        parameter_name = field

        def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
            return choices

        def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
            return queryset.filter(**{field: self.value()}) if self.value() else queryset

    ChoiceFilter.title = title or field.replace("_", " ")
    return ChoiceFilter


def link(url: str, text: object) -> SafeString:
    """Render a link in the theme's style."""
    return format_html('<a class="text-primary-600 dark:text-primary-500" href="{}">{}</a>', url, text)


def link_to(model: str, row_id: object, text: object = None) -> str:
    """Render a link to a row's page; `model` is for example "jobs_job". Empty without a row."""
    return "" if row_id is None else link(reverse(f"admin:{model}_change", args=[row_id]), text or row_id)


def preformatted(text: str) -> SafeString:
    """Render text with its line breaks."""
    style = "white-space: pre-wrap; overflow-wrap: anywhere; font-family: monospace; font-size: 12px"
    return format_html('<pre style="{}">{}</pre>', style, text)


def panel(title: str, headers: Sequence[str], rows: Iterable[Sequence[object]], *, caption: object = "") -> Panel:
    """Build a table of a page."""
    return {"title": title, "caption": caption, "table": {"headers": headers, "rows": list(rows)}}


_COLOURS = {
    "completed": "#15803d", "done": "#15803d", "active": "#15803d", "ready": "#15803d", "delivered": "#15803d",
    "enabled": "#15803d", "live": "#15803d", "failed": "#b91c1c", "rejected": "#b91c1c", "silent": "#b91c1c",
    "processing": "#1d4ed8", "running": "#1d4ed8", "starting": "#1d4ed8", "ending": "#1d4ed8",
    "delayed": "#b45309", "draining": "#b45309", "disabled": "#b45309",
}  # fmt: skip


def badge(state: str, text: str = "") -> SafeString:
    """Render a state, or `text`, in the state's colour."""
    return format_html('<b style="color: {}">{}</b>', _COLOURS.get(state, "#6b7280"), text or state)


def as_json(value: object) -> SafeString:
    """Render a value as indented JSON."""
    return preformatted(json.dumps(value, indent=2, ensure_ascii=False)) if value else preformatted("")


def uuid_of(text: str) -> UUID | None:
    """Parse a UUID. Returns None for other text."""
    try:
        return UUID(text.strip())
    except ValueError:
        return None
