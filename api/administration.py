"""What the admin's pages of all applications share: lists that cost the same at any length, and orders to services.

Rows are shown, never edited: whatever changes one is a service that holds its locks and invariants.
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
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.views.decorators.http import require_POST
from unfold.admin import ModelAdmin
from unfold.paginator import InfinitePaginator

from api.problems import Problem
from transcoding.errors import TranscodeError

PAGE = 50
Panel = dict[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """Something an operator can have done to one row. `run` gets the row and what was entered, and calls a service.

    It raises Problem where that cannot be done. `offered` says for which rows the row's own page has a button. `asks`
    names the one number it takes.
    """

    name: str
    label: str
    run: Callable[[Any, Mapping[str, str]], object]
    offered: Callable[[Any], bool] = lambda _: True
    asks: str = ""


class ReadOnlyAdmin(ModelAdmin):
    """Pages that show rows. Nobody counts them or sorts them by what has no index."""

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

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return self._may(request, "view") or self.has_operate_permission(request)

    def has_operate_permission(self, request: HttpRequest) -> bool:
        """Whether somebody may give orders: Django's permission to change the model."""
        return self._may(request, "change")

    def _may(self, request: HttpRequest, what: str) -> bool:
        permitted: bool = request.user.has_perm(f"{self.opts.app_label}.{what}_{self.opts.model_name}")
        return permitted

    def get_fields(self, request: HttpRequest, obj: Model | None = None) -> Any:
        return self.fields or self.readonly_fields

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
        found = next((each for each in self.operations if each.name == operation), None)
        if row is None or found is None:
            raise Http404
        self.operate(request, found, [row])
        page = reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_change", args=[object_id])
        return HttpResponseRedirect(page)

    def operate(self, request: HttpRequest, operation: Operation, rows: Iterable[Model]) -> None:
        """Carry an operation out on each row by itself, say what came of it, and keep who did it."""
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
            what = f" ({done})" if done > 1 else ""
            self.message_user(request, f"{operation.label}: done{what}.", messages.SUCCESS)

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        row = context["original"]
        if row is not None:
            context["subtitle"] = str(row.pk)
            context["operations"] = self._offered(request, row)
            context |= self.panels(request, row)
        return super().render_change_form(request, context, *args, **kwargs)

    def _offered(self, request: HttpRequest, row: Model) -> list[dict[str, object]]:
        if not self.has_operate_permission(request):
            return []
        name = f"admin:{self.opts.app_label}_{self.opts.model_name}_operate"
        return [
            {"label": each.label, "asks": each.asks, "url": reverse(name, args=[row.pk, each.name])}
            for each in self.operations
            if each.offered(row)
        ]

    def panels(self, request: HttpRequest, row: Any) -> dict[str, object]:
        """What the templates of a row's page show besides its fields."""
        return {}


def _action(operation: Operation) -> Callable[[ReadOnlyAdmin, HttpRequest, QuerySet[Any]], None]:
    def act(model_admin: ReadOnlyAdmin, request: HttpRequest, rows: QuerySet[Any]) -> None:
        model_admin.operate(request, operation, rows)

    return act


def choice_filter(field: str, values: Iterable[str], *, title: str = "") -> type[admin.SimpleListFilter]:
    """A filter by the values that a field can have, known without asking the database which ones it has."""
    choices = [(str(value), str(value)) for value in values]

    class ChoiceFilter(admin.SimpleListFilter):
        parameter_name = field

        def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
            return choices

        def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
            return queryset.filter(**{field: self.value()}) if self.value() else queryset

    ChoiceFilter.title = title or field.replace("_", " ")
    return ChoiceFilter


def link(address: str, text: object) -> SafeString:
    """A link as the theme shows them."""
    return format_html('<a class="text-primary-600 dark:text-primary-500" href="{}">{}</a>', address, text)


def link_to(model: str, row_id: object, text: object = None) -> str:
    """A link to a row's page; `model` is "jobs_job". Nothing where there is no row."""
    return "" if row_id is None else link(reverse(f"admin:{model}_change", args=[row_id]), text or row_id)


def preformatted(text: str) -> SafeString:
    """Text as it is, lines kept."""
    style = "white-space: pre-wrap; overflow-wrap: anywhere; font-family: monospace; font-size: 12px"
    return format_html('<pre style="{}">{}</pre>', style, text)


def panel(title: str, headers: Sequence[str], rows: Iterable[Sequence[object]], *, caption: object = "") -> Panel:
    """One table of a page."""
    return {"title": title, "caption": caption, "table": {"headers": headers, "rows": list(rows)}}


_COLOURS = {
    "completed": "#15803d", "done": "#15803d", "active": "#15803d", "ready": "#15803d", "delivered": "#15803d",
    "enabled": "#15803d", "failed": "#b91c1c", "rejected": "#b91c1c", "silent": "#b91c1c", "processing": "#1d4ed8",
    "running": "#1d4ed8", "delayed": "#b45309", "draining": "#b45309", "disabled": "#b45309",
}  # fmt: skip


def badge(state: str, text: str = "") -> SafeString:
    """A state, or what is said of it, in the state's colour."""
    return format_html('<b style="color: {}">{}</b>', _COLOURS.get(state, "#6b7280"), text or state)


def as_json(value: object) -> SafeString:
    """A document for people."""
    return preformatted(json.dumps(value, indent=2, ensure_ascii=False)) if value else preformatted("")


def uuid_of(text: str) -> UUID | None:
    """What somebody typed or a link says, if it is an id."""
    try:
        return UUID(text.strip())
    except ValueError:
        return None
