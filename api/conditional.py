"""Documents that did not change are not sent again: `ETag`, `If-None-Match`, 304."""

from django.http import HttpRequest, HttpResponseBase
from django.middleware.http import ConditionalGetMiddleware

_API = "/api/"
_PRIVATE = "private, no-cache"
"""A client may keep what it got and has to ask whether it still holds. A key in `X-API-Key` tells no shared cache that
an answer is for one client only; this does."""


class ApiEtags(ConditionalGetMiddleware):
    """Django's own, for the API alone: players are told how long each thing they get is good for."""

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        if not request.path.startswith(_API):
            return response
        response.headers.setdefault("Cache-Control", _PRIVATE)
        return super().process_response(request, response)
