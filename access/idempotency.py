"""`Idempotency-Key`: a request that is sent again because its answer got lost has no second effect.

Keys belong to an owner. What is kept of a request that worked is its fingerprint and its answer, for a day. A request
that fails leaves nothing behind: its key may be used again.

JSON requests run in the transaction that keeps the answer, so that both happen or neither. An upload cannot hold a
transaction for hours: it claims its key under a lease, which it renews while bytes arrive.
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
KEPT_SECONDS = 24 * 3600
LEASE_SECONDS = 180
"""More than an upload may be silent; a claim whose process died is free again after it."""
RENEW_SECONDS = 30
_LONGEST_KEY = 255

Params = ParamSpec("Params")
View = TypeVar("View", bound=APIView)
Method = Callable[Concatenate[View, Request, Params], Response]
AnsweringMethod = Callable[Concatenate[View, Request, Params], HttpResponseBase]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a request was answered with, and is again when it is repeated."""

    status: int
    body: str
    location: str

    def headers(self) -> dict[str, str]:
        """The headers of the answer to a repeated request."""
        return {REPLAYED: "true"} | ({"Location": self.location} if self.location else {})


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """The right to do a request with this key, for as long as its lease is renewed."""

    owner: Owner
    key: str
    id: UUID


def key_checked(text: str | None) -> str | None:
    """The header's value, None without one. Raises Problem (400) for one that is empty, too long or not ASCII."""
    if text is not None and not (0 < len(text) <= _LONGEST_KEY and text.isascii() and text.isprintable()):
        detail = f"{HEADER} must have 1 to {_LONGEST_KEY} printable ASCII characters."
        raise Problem(status=400, code="invalid_idempotency_key", detail=detail)
    return text


def fingerprint_of(parts: Sequence[str | bytes]) -> str:
    """What two requests must have in common to be the same one."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        digest.update(b"%d:" % len(data) + data)
    return digest.hexdigest()


def idempotent(
    *, kept: Callable[[dict[str, Any]], dict[str, Any] | None] = lambda document: document
) -> Callable[[Method[View, Params]], AnsweringMethod[View, Params]]:
    """Let a method that answers with JSON be repeated safely.

    `kept` takes away what must not be stored of the document, or all of it where nothing happened.
    """

    def decorate(method: Method[View, Params]) -> AnsweringMethod[View, Params]:
        @functools.wraps(method)
        def answered(view: View, request: Request, /, *args: Params.args, **kwargs: Params.kwargs) -> HttpResponseBase:
            key = key_checked(request.headers.get(HEADER))
            if key is None:
                return method(view, request, *args, **kwargs)
            fingerprint = fingerprint_of([request.method or "", request.get_full_path(), request._request.body])  # noqa: SLF001 - REST framework's way to Django's request
            with transaction.atomic():
                before = _answer_before(owner_of(request), key, fingerprint)
                if before is not None:
                    return replayed(before)
                response = method(view, request, *args, **kwargs)
                document = kept(response.data)
                if document is not None:
                    _keep(owner_of(request), key, fingerprint, response, document)
                return response

        return answered

    return decorate


def replayed(answer: Answer) -> HttpResponse:
    """Give an answer again."""
    return HttpResponse(answer.body, status=answer.status, content_type="application/json", headers=answer.headers())


@transaction.atomic
def claim_or_answer(*, owner: Owner, key: str, fingerprint: str) -> Claim | Answer:
    """Claim a key for a request that takes long, or find what it was answered with.

    Raises Problem: 409 while another one is under way, 422 where the key was used for something else.
    """
    before = _answer_before(owner, key, fingerprint)
    if before is not None:
        return before
    claim = Claim(owner=owner, key=key, id=uuid4())
    IdempotentRequest.objects.create(
        owner=owner, key=key, fingerprint=fingerprint, claim=claim.id, lease_expires_at=_lease_end()
    )
    return claim


def claim_renew(claim: Claim) -> None:
    """Say that the request is still under way. Raises Problem (409) when the claim was lost."""
    if not _claimed(claim).update(lease_expires_at=_lease_end()):
        raise _in_flight()


def claim_answer(claim: Claim, answer: Answer) -> None:
    """Keep the answer, in the transaction of what it is about. Raises Problem (409) when the claim was lost."""
    if not _claimed(claim).update(claim=None, lease_expires_at=None, **_columns(answer)):
        raise _in_flight()


def claim_release(claim: Claim) -> None:
    """The request failed: let the key be used again."""
    _claimed(claim).delete()


def requests_forget(*, older_than_seconds: float = KEPT_SECONDS) -> int:
    """Forget requests that were made so long ago. Returns how many."""
    latest = Now() - timedelta(seconds=older_than_seconds)
    return IdempotentRequest.objects.filter(created_at__lt=latest).delete()[0]


def _answer_before(owner: Owner, key: str, fingerprint: str) -> Answer | None:
    """The answer that is kept, None where the request may be done now. Nobody else decides at the same time."""
    if not _locked(owner, key):
        raise _in_flight()
    mine = IdempotentRequest.objects.filter(owner=owner, key=key)
    mine.filter(lease_expires_at__lte=Now()).delete()
    row = mine.first()
    if row is None:
        return None
    if row.fingerprint != fingerprint:
        detail = f"This {HEADER} was used for another request."
        raise Problem(status=422, code="idempotency_key_reused", detail=detail)
    if row.status is None:
        raise _in_flight()
    return Answer(status=row.status, body=row.body, location=row.location)


def _locked(owner: Owner, key: str) -> bool:
    """Take this key's lock until the transaction ends, without waiting."""
    number = int.from_bytes(hashlib.sha256(f"{owner.id}:{key}".encode()).digest()[:8], signed=True)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [number])
        (got,) = cursor.fetchone()
    return bool(got)


def _in_flight() -> Problem:
    detail = f"A request with this {HEADER} is under way."
    return Problem(
        status=409, code="idempotent_request_in_flight", detail=detail, retryable=True, headers={"Retry-After": "1"}
    )


def _keep(owner: Owner, key: str, fingerprint: str, response: Response, document: dict[str, Any]) -> None:
    body = JSONRenderer().render(document).decode()
    answer = Answer(status=response.status_code, body=body, location=response.headers.get("Location", ""))
    IdempotentRequest.objects.create(owner=owner, key=key, fingerprint=fingerprint, **_columns(answer))


def _columns(answer: Answer) -> dict[str, Any]:
    return {"status": answer.status, "body": answer.body, "location": answer.location}


def _claimed(claim: Claim) -> Any:  # noqa: ANN401
    return IdempotentRequest.objects.filter(owner=claim.owner, key=claim.key, claim=claim.id)


def _lease_end() -> Any:  # noqa: ANN401
    return Now() + timedelta(seconds=LEASE_SECONDS)
