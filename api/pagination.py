"""Lists are narrowed down and ordered by their query, and walked by cursors.

They take `limit` and `cursor` and answer with `results`, `next` and `previous`.
"""

from datetime import datetime
from typing import Any, ClassVar, TypeVar

from django.db.models import Model, QuerySet
from rest_framework import serializers
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.pagination import Cursor, CursorPagination
from rest_framework.request import Request
from rest_framework.utils.urls import remove_query_param

from api.fields import ExternalId, OneOf, StrictSerializer

_MOST_DIGITS = 10
"""Python refuses to read thousands of them, with an error that would be ours."""


class CursorPages(CursorPagination):
    """Newest first; rows that arrive while a client walks the list neither repeat nor hide others."""

    page_size = 20
    max_page_size = 100
    page_size_query_param = "limit"
    page_size_query_description = "How many results a page holds, 1 to 100."
    ordering = ("-created_at", "-id")
    offset_cutoff = 10_000

    def __init__(self, *, oldest_first: bool = False) -> None:
        if oldest_first:
            self.ordering = ("created_at", "id")

    def get_page_size(self, request: Request) -> int:
        """Refuse a limit that makes no sense instead of ignoring it."""
        return _whole(request, "limit", 1, self.max_page_size) or self.page_size

    def decode_cursor(self, request: Request) -> Cursor | None:
        """A broken cursor is a wrong field, not a missing page. `offset` is for clients that count: a first page."""
        offset = _whole(request, "offset", 0, self.offset_cutoff)
        if offset is not None and "cursor" not in request.query_params:
            self.base_url = remove_query_param(request.build_absolute_uri(), "offset")
            return Cursor(offset=offset, reverse=False, position=None)
        try:
            cursor = super().decode_cursor(request)
            if cursor is not None and cursor.position is not None:
                datetime.fromisoformat(str(cursor.position))
        except (NotFound, ValueError):
            raise ValidationError({"cursor": "is not a cursor of this list"}) from None
        return cursor


def _whole(request: Request, name: str, lowest: int, highest: int) -> int | None:
    text = request.query_params.get(name)
    if text is None:
        return None
    if not (len(text) <= _MOST_DIGITS and text.isdecimal() and lowest <= int(text) <= highest):
        raise ValidationError({name: f"must be a whole number from {lowest} to {highest}"})
    return int(text)


Row = TypeVar("Row", bound=Model)

NEWEST_FIRST, OLDEST_FIRST = "-created_at", "created_at"


class ListQuery(StrictSerializer):
    """How any list may be narrowed down and ordered; a name that no list knows is refused, not ignored."""

    created_after = serializers.DateTimeField(required=False, help_text="Made at this time or later.")
    created_before = serializers.DateTimeField(required=False, help_text="Made before this time.")
    order = OneOf(choices=[NEWEST_FIRST, OLDEST_FIRST], required=False, help_text="Newest first by default.")

    ALSO_KNOWN = ("limit", "cursor", "offset")
    PAGES: ClassVar = (*ALSO_KNOWN, "format")
    LOOKUPS: ClassVar = {"created_after": "created_at__gte", "created_before": "created_at__lt"}

    @classmethod
    def page(cls, rows: QuerySet[Row], request: Request) -> tuple[CursorPages, list[Row]]:
        """The rows that a request asks for, and the pages they belong to. Raises ValidationError."""
        wanted = cls(data={name: value for name, value in request.query_params.items() if name not in cls.PAGES})
        wanted.is_valid(raise_exception=True)
        asked: dict[str, Any] = dict(wanted.validated_data)
        pages = CursorPages(oldest_first=asked.pop("order", NEWEST_FIRST) == OLDEST_FIRST)
        narrowed = rows.filter(**{cls.LOOKUPS.get(name, name): value for name, value in asked.items()})
        return pages, pages.paginate_queryset(narrowed, request) or []


class LabelledQuery(ListQuery):
    """A list of things that clients may have given a name of their own."""

    external_id = ExternalId(help_text="Only those with exactly this one.")
