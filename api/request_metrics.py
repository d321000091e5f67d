"""Middleware for metrics of requests: counts and durations by route, never by URL."""

import time
from collections.abc import Callable

from django.http import HttpRequest
from django.http.response import HttpResponseBase

from api.request_log import describe_request
from observability import metrics

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class RequestMetrics:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        started = time.perf_counter()
        response = self._get_response(request)
        method = request.method if request.method in _METHODS else "other"
        route = request.resolver_match.route if request.resolver_match else "none"
        describe_request(getattr(request, "scope", {}), route=f"/{route}" if request.resolver_match else "")
        metrics.HTTP_REQUESTS.add(method=method, route=route, status=response.status_code)
        metrics.HTTP_SECONDS.observe(time.perf_counter() - started, method=method, route=route)
        return response
