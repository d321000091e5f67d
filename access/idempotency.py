"""`Idempotency-Key`: repeating a request whose response was lost has no second effect.

Keys belong to an owner. Fingerprint and response of a successful request are stored for a day. A failed request stores
nothing, and its key can be used again.

JSON requests run in the transaction that stores the response, so that both happen or neither. It holds one of few
connections, so nothing in it may wait for a stranger. An upload cannot hold a transaction for hours: it claims its key
under a lease, which it renews while bytes arrive.
"""

import functools
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Concatenate, ParamSpec, TypeVar
from uuid import UUID, uuid4

from django.db import connection, transaction
from django.db.models.functions import Now
from django.http import HttpResponse, HttpResponseBase
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from access.authentication import owner_of
from access.models import IdempotentRequest, Owner
from api.problems import Problem

HEADER = "Idempotency-Key"
REPLAYED = "Idempotent-Replayed"
RESPONSE_TTL_SECONDS = 24 * 3600
LEASE_SECONDS = 180
"""Longer than the idle timeout of uploads. The claim of a dead process expires after it."""
RENEW_SECONDS = 30
_MAX_KEY_LENGTH = 255

Params = ParamSpec("Params")
View = TypeVar("View", bound=APIView)
Method = Callable[Concatenate[View, Request, Params], Response]
RespondingMethod = Callable[Concatenate[View, Request, Params], HttpResponseBase]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredResponse:
    """Stored response of a request, for its repetitions."""

    status: int
    body: str
    location: str

    def headers(self) -> dict[str, str]:
        """Headers of the response to a repeated request."""
        return {REPLAYED: "true"} | ({"Location": self.location} if self.location else {})


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """Exclusive use of a key by one request, while its lease is renewed."""

    owner: Owner
    key: str
    id: UUID


def checked_key(text: str | None) -> str | None:
    """Return the header's value, or None. Raises Problem (400) if it is empty, too long or not printable ASCII."""
    if text is not None and not (0 < len(text) <= _MAX_KEY_LENGTH and text.isascii() and text.isprintable()):
        detail = f"{HEADER} must have 1 to {_MAX_KEY_LENGTH} printable ASCII characters."
        raise Problem(status=400, code="invalid_idempotency_key", detail=detail)
    return text


def fingerprint_of(parts: Sequence[str | bytes]) -> str:
    """Digest the parts of a request that its repetitions must have in common."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        digest.update(b"%d:" % len(data) + data)
    return digest.hexdigest()


def idempotent(
    *,
    stored: Callable[[dict[str, Any]], dict[str, Any] | None] = lambda document: document,
    check: Callable[[Request], None] | None = None,
) -> Callable[[Method[View, Params]], RespondingMethod[View, Params]]:
    """Decorate a view's method that responds with JSON, so that it can be repeated safely.

    `stored` returns the document to store: without secrets, or None to store nothing when nothing was changed.
    `check` raises what is wrong with a request that is no repetition. It runs before the transaction, so it may wait.
    """

    def decorate(method: Method[View, Params]) -> RespondingMethod[View, Params]:
        @functools.wraps(method)
        def wrapper(view: View, request: Request, /, *args: Params.args, **kwargs: Params.kwargs) -> HttpResponseBase:
            key = checked_key(request.headers.get(HEADER))
            if key is None:
                if check is not None:
                    check(request)
                return method(view, request, *args, **kwargs)
            fingerprint = fingerprint_of([request.method or "", request.get_full_path(), request._request.body])  # noqa: SLF001 - REST framework's way to Django's request
            if check is not None:
                with transaction.atomic():
                    before = _stored_response(owner_of(request), key, fingerprint)
                if before is not None:
                    return replayed(before)
                check(request)
            with transaction.atomic():
                before = _stored_response(owner_of(request), key, fingerprint)
                if before is not None:
                    return replayed(before)
                response = method(view, request, *args, **kwargs)
                document = stored(response.data)
                if document is not None:
                    _store(owner_of(request), key, fingerprint, response, document)
                return response

        return wrapper

    return decorate


def replayed(response: StoredResponse) -> HttpResponse:
    """Build the response to a repeated request."""
    return HttpResponse(
        response.body, status=response.status, content_type="application/json", headers=response.headers()
    )


@transaction.atomic
def claim_or_response(*, owner: Owner, key: str, fingerprint: str) -> Claim | StoredResponse:
    """Claim a key for a long request, or return the stored response of an earlier one.

    Raises Problem: 409 while another request with the key runs, 422 when the key was used for a different request.
    """
    before = _stored_response(owner, key, fingerprint)
    if before is not None:
        return before
    claim = Claim(owner=owner, key=key, id=uuid4())
    IdempotentRequest.objects.create(
        owner=owner, key=key, fingerprint=fingerprint, claim=claim.id, lease_expires_at=_lease_end()
    )
    return claim


def claim_renew(claim: Claim) -> None:
    """Renew the lease of a claim. Raises Problem (409) when the claim was lost."""
    if not _claimed(claim).update(lease_expires_at=_lease_end()):
        raise _in_flight()


def claim_complete(claim: Claim, response: StoredResponse) -> None:
    """Store the response, in the transaction of the request's changes. Raises Problem (409) when the claim was lost."""
    if not _claimed(claim).update(claim=None, lease_expires_at=None, **_columns(response)):
        raise _in_flight()


def claim_release(claim: Claim) -> None:
    """Delete the claim of a failed request, so that its key can be used again."""
    _claimed(claim).delete()


def requests_expire(*, older_than_seconds: float = RESPONSE_TTL_SECONDS) -> int:
    """Delete stored requests older than this. Returns their number."""
    latest = Now() - timedelta(seconds=older_than_seconds)
    return IdempotentRequest.objects.filter(created_at__lt=latest).delete()[0]


def _stored_response(owner: Owner, key: str, fingerprint: str) -> StoredResponse | None:
    """Return the stored response, or None when the request may run. Holds the key's lock until the transaction ends."""
    if not _locked(owner, key):
        raise _in_flight()
    rows = IdempotentRequest.objects.filter(owner=owner, key=key)
    rows.filter(lease_expires_at__lte=Now()).delete()
    row = rows.first()
    if row is None:
        return None
    if row.fingerprint != fingerprint:
        detail = f"This {HEADER} was used for another request."
        raise Problem(status=422, code="idempotency_key_reused", detail=detail)
    if row.status is None:
        raise _in_flight()
    return StoredResponse(status=row.status, body=row.body, location=row.location)


def _locked(owner: Owner, key: str) -> bool:
    """Take the key's advisory lock until the transaction ends, without waiting. Returns False when it is taken."""
    number = int.from_bytes(hashlib.sha256(f"{owner.id}:{key}".encode()).digest()[:8], signed=True)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [number])
        (locked,) = cursor.fetchone()
    return bool(locked)


def _in_flight() -> Problem:
    detail = f"A request with this {HEADER} is still running."
    return Problem(
        status=409, code="idempotent_request_in_flight", detail=detail, retryable=True, headers={"Retry-After": "1"}
    )


def _store(owner: Owner, key: str, fingerprint: str, response: Response, document: dict[str, Any]) -> None:
    body = JSONRenderer().render(document).decode()
    stored = StoredResponse(status=response.status_code, body=body, location=response.headers.get("Location", ""))
    IdempotentRequest.objects.create(owner=owner, key=key, fingerprint=fingerprint, **_columns(stored))


def _columns(response: StoredResponse) -> dict[str, Any]:
    return {"status": response.status, "body": response.body, "location": response.location}


def _claimed(claim: Claim) -> Any:  # noqa: ANN401
    return IdempotentRequest.objects.filter(owner=claim.owner, key=claim.key, claim=claim.id)


def _lease_end() -> Any:  # noqa: ANN401
    return Now() + timedelta(seconds=LEASE_SECONDS)
