"""/healthz and /readyz, for load balancers and orchestrators: open to everybody, and they tell nothing but yes or no.

In front of everything else, since probes speak plain HTTP, name an address as their host and have no key.
"""

from collections.abc import Callable, Sequence
from functools import cache
from http import HTTPStatus

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase

from observability.health import Check, Health, MigrationsApplied, Watch, database_answers, overall, verdicts
from storage.errors import ObjectNotFound
from storage.wiring import store_from

ALIVE, READY = "/healthz", "/readyz"
WAIT_SECONDS = 2.0
_NO_OBJECT = "health/none"


class Probes:
    """Middleware that answers probes and passes everything else on."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if request.method in ("GET", "HEAD"):
            if request.path == ALIVE:
                return HttpResponse("ok\n", content_type="text/plain")
            if request.path == READY:
                return _readiness()
        return self._get_response(request)


def _readiness() -> HttpResponse:
    """Whether requests can be answered: by the database. Without the others the API works, if less well."""
    found = verdicts(_watches(), wait_seconds=WAIT_SECONDS)
    worst = overall(found)
    status = HTTPStatus.SERVICE_UNAVAILABLE if worst is Health.FAILED else HTTPStatus.OK
    return JsonResponse({"status": worst, "checks": found}, status=status, headers={"Cache-Control": "no-store"})


@cache
def _watches() -> Sequence[Watch]:
    checks = (
        Check(name="database", look=database_answers, vital=True),
        Check(name="migrations", look=MigrationsApplied(), vital=True),
        Check(name="store", look=_store_answers, vital=False),
    )
    return [Watch(check) for check in checks]


def _store_answers() -> None:
    """Raise when the store does not answer, or does not know us."""
    try:
        _store().get(_NO_OBJECT)
    except ObjectNotFound:
        return


_store = cache(lambda: store_from(settings.TRANSCODER.storage))
