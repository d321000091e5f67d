"""Lists are walked by cursors: `limit`, `cursor`, and answers with `results`, `next` and `previous`."""

from datetime import datetime

from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.pagination import Cursor, CursorPagination
from rest_framework.request import Request

_MOST_DIGITS = 10
"""Python refuses to read thousands of them, with an error that would be ours."""


class CursorPages(CursorPagination):
    """Newest first; rows that arrive while a client walks the list neither repeat nor hide others."""

    page_size = 20
    max_page_size = 100
    page_size_query_param = "limit"
    page_size_query_description = "How many results a page holds, 1 to 100."
    ordering = ("-created_at", "-id")

    def get_page_size(self, request: Request) -> int:
        """Refuse a limit that makes no sense instead of ignoring it."""
        text = request.query_params.get("limit")
        if text is None:
            return self.page_size
        if not (len(text) <= _MOST_DIGITS and text.isdecimal() and 1 <= int(text) <= self.max_page_size):
            raise ValidationError({"limit": f"must be a whole number from 1 to {self.max_page_size}"})
        return int(text)

    def decode_cursor(self, request: Request) -> Cursor | None:
        """A broken cursor is a wrong field, not a missing page."""
        try:
            cursor = super().decode_cursor(request)
            if cursor is not None and cursor.position is not None:
                datetime.fromisoformat(str(cursor.position))
        except (NotFound, ValueError):
            raise ValidationError({"cursor": "is not a cursor of this list"}) from None
        return cursor
