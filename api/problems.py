"""Errors of the HTTP API: RFC 9457 problem documents with a stable `code`.

Raise `Problem` anywhere below a view. Exceptions of REST framework, Django, the database and the pure core are
translated here and nowhere else.
"""

import json
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import psycopg
from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse
from rest_framework import exceptions as rest

from observability import metrics
from observability.logs import bound_field
from transcoding.errors import InputRejected, RequestUnfit, TranscodeError

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_SECONDS = "5"
CHECKSUM_MISMATCH = 460
"""Status of the tus protocol, which no other standard has."""
_IN_PATHS = "/:@!$&'()*+,;=~"
"""Characters of a path besides letters, digits and `_.-` (RFC 3986)."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class FieldError:
    """Error of one field of a request."""

    field: str
    """Dotted path of a nested field; empty for the whole body."""
    detail: str


@dataclass(kw_only=True, eq=False)
class Problem(Exception):
    """An error response."""

    status: int
    code: str
    """For programs; never changes."""
    detail: str
    """For people."""
    details: str = ""
    """Words of the program that failed, if one did."""
    retryable: bool = False
    """The same request may succeed later."""
    errors: Sequence[FieldError] = ()
    headers: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.detail

    def document(self, instance: str) -> dict[str, Any]:
        """Build the JSON document; `instance` is the path of the request."""
        document = {
            "type": "about:blank",
            "title": _title(self.status),
            "status": self.status,
            "detail": self.detail,
            "instance": quote(instance, safe=_IN_PATHS),
            "code": self.code,
            "retryable": self.retryable,
        }
        if request_id := bound_field("request_id"):
            document["request_id"] = request_id
        if self.details:
            document["details"] = self.details
        if self.errors:
            document["errors"] = [{"field": error.field, "detail": error.detail} for error in self.errors]
        return document

    def body(self, instance: str) -> bytes:
        return json.dumps(self.document(instance)).encode()


def _title(status: int) -> str:
    return "Checksum Mismatch" if status == CHECKSUM_MISMATCH else HTTPStatus(status).phrase


def not_found(what: str) -> Problem:
    """Build the 404 of a row ("video", "job") that does not exist or belongs to another owner."""
    return Problem(status=404, code=f"{what}_not_found", detail=f"There is no such {what}.")


def invalid_field(name: str, detail: str, *, code: str = "invalid", status: int = 422) -> Problem:
    """Build the Problem of one invalid field."""
    return Problem(status=status, code=code, detail=f"{name}: {detail}", errors=(FieldError(name, detail),))


def problem_response(problem: Problem, instance: str) -> HttpResponse:
    problem_count(problem)
    return HttpResponse(
        problem.body(instance), status=problem.status, content_type=MEDIA_TYPE, headers=dict(problem.headers)
    )


def problem_count(problem: Problem) -> None:
    """Count a problem that a request is answered with."""
    metrics.PROBLEMS.add(status=problem.status, code=problem.code)


def exception_handler(error: Exception, context: Mapping[str, Any]) -> HttpResponse | None:
    """Translate an exception for REST framework. With None, Django logs the traceback and responds 500."""
    problem = problem_of(error)
    if problem is None:
        return None
    return problem_response(problem, context["request"].path)


def problem_of(error: Exception) -> Problem | None:
    """Translate an exception into a Problem, or return None for an unknown one, which is a bug."""
    return next((translate(error) for kind, translate in _TRANSLATIONS if isinstance(error, kind)), None)


def any_problem_of(error: Exception) -> Problem:
    """Translate an exception as `problem_of`. An unknown one is logged and becomes a 500."""
    problem = problem_of(error)
    if problem is None:
        log.error("request failed", exc_info=error)
    return problem or internal_error()


def too_large(detail: str, *, field: str = "") -> Problem:
    errors = (FieldError(field, detail),) if field else ()
    return Problem(status=413, code="too_large", detail=detail, errors=errors)


def unavailable(code: str, detail: str) -> Problem:
    """Build the 503 of an unavailable dependency, with Retry-After."""
    return Problem(status=503, code=code, detail=detail, retryable=True, headers={"Retry-After": RETRY_AFTER_SECONDS})


def over_limit(code: str, detail: str, *, retry_after_seconds: int) -> Problem:
    """Build the 429 of a client that has as much as it may have at a time."""
    headers = {"Retry-After": str(retry_after_seconds)}
    return Problem(status=429, code=code, detail=detail, retryable=True, headers=headers)


def throttled(retry_after_seconds: int, headers: Mapping[str, str]) -> Problem:
    """Build the 429 of a client that sends too fast. `headers` include Retry-After."""
    detail = f"Too many requests; the next one is accepted in {retry_after_seconds} s."
    return Problem(status=429, code="throttled", detail=detail, retryable=True, headers=headers)


def internal_error() -> Problem:
    return Problem(status=500, code="internal_error", detail="Something went wrong on our side.")


def handler400(request: HttpRequest, exception: Exception) -> HttpResponse:
    return problem_response(problem_of(exception) or _malformed(exception), request.path)


def handler403(request: HttpRequest, exception: Exception) -> HttpResponse:
    return problem_response(_forbidden(exception), request.path)


def handler404(request: HttpRequest, exception: Exception) -> HttpResponse:
    return problem_response(_not_found(exception), request.path)


def handler500(request: HttpRequest) -> HttpResponse:
    return problem_response(internal_error(), request.path)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Respond 403 to a failed CSRF check; a hook of Django."""
    problem = Problem(status=403, code="csrf_failed", detail=f"The CSRF check failed. {reason}".strip())
    return problem_response(problem, request.path)


def _identity(problem: Problem) -> Problem:
    return problem


def _not_found(_error: Exception) -> Problem:
    return Problem(status=404, code="not_found", detail="There is nothing at this URL.")


def _forbidden(_error: Exception) -> Problem:
    return Problem(status=403, code="permission_denied", detail="This is not allowed.")


def _too_large(_error: Exception) -> Problem:
    return too_large("The request body is too large.")


def _malformed(_error: Exception) -> Problem:
    return Problem(status=400, code="bad_request", detail="The request is malformed.")


def _database_unavailable(error: Exception) -> Problem:
    log.error("database unavailable", exc_info=error)
    return unavailable("database_unavailable", "The database cannot be reached.")


def _validation(error: rest.ValidationError) -> Problem:
    errors = tuple(_flatten(error.detail))
    return Problem(
        status=422,
        code="invalid",
        detail="; ".join(f"{e.field}: {e.detail}" if e.field else e.detail for e in errors),
        errors=errors,
    )


def _flatten(detail: object, path: str = "") -> Iterator[FieldError]:
    """Yield the errors of REST framework's nested lists and dicts."""
    if isinstance(detail, Mapping):
        for name, inner in detail.items():
            yield from _flatten(inner, path if name == "non_field_errors" else _join(path, str(name)))
    elif isinstance(detail, list):
        for index, inner in enumerate(detail):
            yield from _flatten(inner, _join(path, str(index)) if isinstance(inner, dict | list) else path)
    else:
        yield FieldError(path, str(detail))


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _rest(error: rest.APIException) -> Problem:
    detail = error.detail
    return Problem(
        status=error.status_code,
        code=getattr(detail, "code", error.default_code),
        detail=str(detail),
        retryable=isinstance(error, rest.Throttled),
        headers=_rest_headers(error),
    )


def _rest_headers(error: rest.APIException) -> dict[str, str]:
    headers = {}
    if challenge := getattr(error, "auth_header", None):
        headers["WWW-Authenticate"] = challenge
    if wait := getattr(error, "wait", None):
        headers["Retry-After"] = str(round(wait))
    return headers


def _transcode(error: TranscodeError) -> Problem:
    """Translate errors of the core: 422 for the uploaded file, 503 for retryable ones, else 500."""
    if isinstance(error, RequestUnfit):
        return invalid_field(error.field, str(error))
    if isinstance(error, InputRejected):
        return Problem(status=422, code=error.code, detail=str(error), details=error.details)
    log.error("request failed", exc_info=error)
    if error.retryable:
        return unavailable(error.code, error.for_clients or "A part of the platform cannot be reached.")
    return Problem(status=500, code=error.code, detail=error.for_clients or internal_error().detail)


_TRANSLATIONS: Sequence[tuple[type[Exception], Callable[[Any], Problem]]] = (
    (Problem, _identity),
    (rest.ValidationError, _validation),
    (rest.APIException, _rest),
    (Http404, _not_found),
    (PermissionDenied, _forbidden),
    (RequestDataTooBig, _too_large),
    (SuspiciousOperation, _malformed),
    (OperationalError, _database_unavailable),
    (InterfaceError, _database_unavailable),
    (psycopg.OperationalError, _database_unavailable),
    (TranscodeError, _transcode),
)
"""Translations by class; the first match counts, so subclasses come first."""
