"""The probes /healthz, /readyz and /health, which need no authentication, and /metrics, which requires a token.

The middleware is the first one, since probes use plain HTTP, an IP address as the host, and no API key. /healthz is
answered in front of Django: it must not wait for a thread while all of them wait for something else.
"""

import logging
from collections.abc import Callable
from http import HTTPStatus

from django.conf import settings
from django.db import DatabaseError, InterfaceError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase

from api.asgi import App, Receive, Scope, Send, path_below_prefix
from api.request_log import describe_request
from configuration import Config
from observability.health import Health, run_checks, worst_of
from observability.metrics import MEDIA_TYPE, exposition
from observability.scraping import token_matches
from operations.health import WAIT_SECONDS, dependency_checks
from operations.metrics_export import DatabaseMetrics

ALIVE, READY, HEALTH, METRICS = "/healthz", "/readyz", "/health", "/metrics"

log = logging.getLogger(__name__)


class Probes:
    """Middleware that responds to probes and passes other requests on."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if request.method in ("GET", "HEAD"):
            path = request.path_info
            if path in (READY, HEALTH, METRICS):
                describe_request(getattr(request, "scope", {}), route=path)
            if path == READY:
                return _readiness()
            if path == HEALTH:
                return _health()
            if path == METRICS and (token := settings.TRANSCODER.metrics.metrics_token):
                return _metrics() if token_matches(request.headers.get("Authorization"), token) else _no_token()
        return self._get_response(request)


def answer_alive(app: App) -> App:
    """Answer GET /healthz, and pass other requests on."""

    async def answered(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and path_below_prefix(scope) == ALIVE and scope["method"] in ("GET", "HEAD"):
            describe_request(scope, route=ALIVE)
            headers = [(b"content-type", b"text/plain"), (b"content-length", b"3")]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": b"ok\n"})
            return
        await app(scope, receive, send)

    return answered


def _readiness() -> HttpResponse:
    """Respond 200 if the database works. Without the other dependencies the API works with degraded service."""
    checks = run_checks(dependency_checks(), timeout_seconds=WAIT_SECONDS)
    worst = worst_of(checks)
    status = HTTPStatus.SERVICE_UNAVAILABLE if worst is Health.FAILED else HTTPStatus.OK
    return JsonResponse({"status": worst, "checks": checks}, status=status, headers={"Cache-Control": "no-store"})


def _health() -> HttpResponse:
    """Answer as /readyz does, in one word and without the single checks."""
    failed = worst_of(run_checks(dependency_checks(), timeout_seconds=WAIT_SECONDS)) is Health.FAILED
    return JsonResponse(
        {"status": "unhealthy" if failed else "healthy"},
        status=HTTPStatus.SERVICE_UNAVAILABLE if failed else HTTPStatus.OK,
        headers={"Cache-Control": "no-store"},
    )


def _metrics() -> HttpResponse:
    """Export the metrics of this service's processes, and those of the database if it responds."""
    config: Config = settings.TRANSCODER
    known = DatabaseMetrics(silence_seconds=config.lease.node_silence_seconds)
    try:
        shown = exposition(known)
    except (DatabaseError, InterfaceError):
        log.warning("metrics without the database", extra={"event": "metrics_without_database"})
        shown = exposition()
    return HttpResponse(shown, content_type=MEDIA_TYPE)


def _no_token() -> HttpResponse:
    return HttpResponse(status=HTTPStatus.UNAUTHORIZED, headers={"WWW-Authenticate": "Bearer"})
