"""Filters, order and cursor pagination of lists.

Lists take `limit` and `cursor` and respond with `results`, `next` and `previous`.
"""

from datetime import UTC, datetime
from typing import Any, ClassVar, TypeVar

from django.db.models import Model, QuerySet
from rest_framework import serializers
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.pagination import Cursor, CursorPagination
from rest_framework.request import Request
from rest_framework.utils.urls import remove_query_param

from api.fields import Choice, ExternalId, StrictSerializer
from api.wiring import absolute_url

_MAX_DIGITS = 10
"""Limit before parsing: Python raises an error for integers of thousands of digits."""


class CursorPages(CursorPagination):
    """Pages, newest first. Rows that are created meanwhile neither repeat nor hide others."""

    page_size = 20
    max_page_size = 100
    page_size_query_param = "limit"
    page_size_query_description = "Number of results of a page, 1 to 100."
    ordering = ("-created_at", "-id")
    offset_cutoff = 10_000

    def __init__(self, *, oldest_first: bool = False) -> None:
        if oldest_first:
            self.ordering = ("created_at", "id")

    def get_page_size(self, request: Request) -> int:
        """Return the limit of the request. Raises ValidationError for an invalid one, which Django's ignores."""
        return _integer(request, "limit", 1, self.max_page_size) or self.page_size

    def decode_cursor(self, request: Request) -> Cursor | None:
        """Decode the cursor, or build one from `offset`, for clients that count. Raises ValidationError."""
        self.base_url = remove_query_param(absolute_url(request, request.get_full_path()), "offset")
        offset = _integer(request, "offset", 0, self.offset_cutoff)
        if offset is not None and "cursor" not in request.query_params:
            return Cursor(offset=offset, reverse=False, position=None)
        try:
            cursor = super().decode_cursor(request)
            if cursor is not None and cursor.position is not None:
                cursor = cursor._replace(position=str(_moment(str(cursor.position))))  # type: ignore[arg-type]  # it is text
        except (NotFound, ValueError, OverflowError):
            raise ValidationError({"cursor": "is not a cursor of this list"}) from None
        return cursor


def _moment(text: str) -> datetime:
    """Parse the position of a cursor as UTC. Raises ValueError, and OverflowError for times outside of UTC's years."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("a position has a time zone")
    return moment.astimezone(UTC)


def _integer(request: Request, name: str, lowest: int, highest: int) -> int | None:
    text = request.query_params.get(name)
    if text is None:
        return None
    if not (len(text) <= _MAX_DIGITS and text.isdecimal() and lowest <= int(text) <= highest):
        raise ValidationError({name: f"must be a whole number from {lowest} to {highest}"})
    return int(text)


Row = TypeVar("Row", bound=Model)

NEWEST_FIRST, OLDEST_FIRST = "-created_at", "created_at"


class ListQuery(StrictSerializer):
    """Query of a list: filters and order. Unknown names are refused."""

    created_after = serializers.DateTimeField(required=False, help_text="Created at this time or later.")
    created_before = serializers.DateTimeField(required=False, help_text="Created before this time.")
    order = Choice(choices=[NEWEST_FIRST, OLDEST_FIRST], required=False, help_text="Newest first by default.")

    ALSO_KNOWN = ("limit", "cursor", "offset")
    PAGES: ClassVar = (*ALSO_KNOWN, "format")
    LOOKUPS: ClassVar = {"created_after": "created_at__gte", "created_before": "created_at__lt"}

    @classmethod
    def page(cls, rows: QuerySet[Row], request: Request) -> tuple[CursorPages, list[Row]]:
        """Filter and paginate rows by the query of a request. Raises ValidationError."""
        query = cls(data={name: value for name, value in request.query_params.items() if name not in cls.PAGES})
        query.is_valid(raise_exception=True)
        filters: dict[str, Any] = dict(query.validated_data)
        pages = CursorPages(oldest_first=filters.pop("order", NEWEST_FIRST) == OLDEST_FIRST)
        narrowed = rows.filter(**{cls.LOOKUPS.get(name, name): value for name, value in filters.items()})
        return pages, pages.paginate_queryset(narrowed, request) or []


class LabelledQuery(ListQuery):
    """Query of a list of rows with an external id."""

    external_id = ExternalId(help_text="Only rows with exactly this external id.")
