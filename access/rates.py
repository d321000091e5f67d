"""Rate limits of owners, and of addresses without a working key."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from enum import StrEnum
from http import HTTPStatus
from io import BytesIO
from typing import TYPE_CHECKING, cast

from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, HttpResponseBase
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from access.callers import Caller, caller_from_scope
from access.scopes import Scope
from access.wiring import requests_per_minute
from api.addresses import client_network
from api.asgi import Scope as AsgiScope
from api.problems import Problem, over_limit, throttled
from api.request_log import describe_request
from coordination.rates import Rate, RateDecision
from coordination.wiring import rate_limiter
from observability import metrics

if TYPE_CHECKING:  # a circular import: REST framework's views load these classes by the settings
    from rest_framework.views import APIView

_READS = frozenset({"GET", "HEAD", "OPTIONS"})
_ADDRESSES_PER_NAME = 10
"""Factor of the login limit of a name over that of an address."""


class RateClass(StrEnum):
    READ = "read"
    WRITE = "write"
    UPLOAD = "upload"
    PART = "part"
    PLAN = "plan"
    LIVE = "live"
    ADDRESS = "address"
    PLAY = "play"
    LOGIN = "login"


for _class, _buckets in (
    (RateClass.READ, ("owner",)),
    (RateClass.WRITE, ("owner",)),
    (RateClass.UPLOAD, ("owner",)),
    (RateClass.PART, ("owner",)),
    (RateClass.PLAN, ("owner",)),
    (RateClass.LIVE, ("owner",)),
    (RateClass.ADDRESS, ("address",)),
    (RateClass.LOGIN, ("address", "name")),
):
    metrics.RATE_LIMITED.expect(rate=[_class], by=_buckets)


class RateLimit(BaseThrottle):
    """REST framework's throttle. Each owner has one bucket for reads and one for writes, however many keys it has."""

    _decision: RateDecision | None = None

    def allow_request(self, request: Request, view: APIView) -> bool:  # noqa: ARG002 - its signature
        rate_class = RateClass.READ if request.method in _READS else RateClass.WRITE
        caller = cast("Caller | None", request.auth)
        self._decision = _take_for_caller(caller, rate_class) if caller else _take_for_address(request._request)  # noqa: SLF001 - Django's
        if self._decision:
            request._request.rate = self._decision  # type: ignore[attr-defined]  # noqa: SLF001 - for RateHeaders
        return self._decision is None or self._decision.allowed

    def wait(self) -> float | None:
        return self._decision.retry_after_seconds if self._decision else None


class RateHeaders:
    """Middleware that adds the rate limit headers, and sets the status 429 on any page that refuses a request."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self._get_response(request)
        decision: RateDecision | None = getattr(request, "rate", None)
        if decision:
            for name, value in rate_headers(decision).items():
                response.headers[name] = value
            if not decision.allowed:
                response.status_code = HTTPStatus.TOO_MANY_REQUESTS
        return response


def rate_headers(decision: RateDecision) -> dict[str, str]:
    """Build the RateLimit headers of the IETF draft, and Retry-After for a refused request."""
    headers = {
        "RateLimit-Limit": str(decision.limit),
        "RateLimit-Remaining": str(decision.remaining),
        "RateLimit-Reset": str(decision.reset_seconds),
    }
    return headers if decision.allowed else {**headers, "Retry-After": str(decision.retry_after_seconds)}


def admit_caller(scope: AsgiScope, required: Scope, *, keys_only: bool = False) -> Caller:
    """Find the caller as `caller_from_scope`, with a rate limit on failures. Raises Problem (401, 403, 429).

    `keys_only`: sessions of people are not looked at, as in a process without the key that signs them.
    """
    try:
        caller = caller_from_scope(scope, required, keys_only=keys_only)
    except Problem as problem:
        if problem.status == HTTPStatus.UNAUTHORIZED:
            check_unauthenticated_rate(ASGIRequest(scope, BytesIO()))
        raise
    describe_request(scope, owner_id=caller.owner.id)
    return caller


def check_upload_rate(caller: Caller) -> None:
    """Count an upload of a caller. Raises Problem (429) above the limit."""
    _refuse_kind(_take_for_caller(caller, RateClass.UPLOAD), "uploads of an owner are accepted")


def check_part_rate(caller: Caller) -> None:
    """Count a part of an upload. Raises Problem (429) above the limit."""
    _refuse_kind(_take_for_caller(caller, RateClass.PART), "parts of uploads of an owner are accepted")


def check_read_rate(caller: Caller) -> None:
    """Count a request that REST framework's throttle does not see. Raises Problem (429) above the limit."""
    _refuse(_take_for_caller(caller, RateClass.READ))


def check_plan_rate(caller: Caller) -> None:
    """Count a plan document of a caller. Raises Problem (429) above the limit."""
    _refuse_kind(_take_for_caller(caller, RateClass.PLAN), "plans and dry runs are shown to an owner")


def check_live_rate(caller: Caller) -> None:
    """Count a request for a live stream. Raises Problem (429) above the limit."""
    _refuse_kind(_take_for_caller(caller, RateClass.LIVE), "requests of an owner for live streams are accepted")


def check_unauthenticated_rate(request: HttpRequest) -> None:
    """Count a request of an address without a working key. Raises Problem (429) above the limit."""
    _refuse(_take_for_address(request))


def check_play_rate(request: HttpRequest) -> None:
    """Count a request of a player's address. Raises Problem (429) above the limit."""
    _refuse(_take_for_address(request, RateClass.PLAY))


def check_login_rate(request: HttpRequest, name: str) -> RateDecision | None:
    """Count a login attempt, per address and, with ten times the limit, per name. Returns None without a limit.

    The address is checked first, so that a single address can neither use up the attempts of a name, which would lock
    its owner out, nor evict the buckets of many names from memory.
    """
    decision = _take_for_address(request, RateClass.LOGIN)
    if decision and decision.allowed:
        digest = hashlib.sha256(name.encode(errors="replace")).hexdigest()
        decision = _take_token(f"name:{digest}", RateClass.LOGIN, times=_ADDRESSES_PER_NAME)
    request.rate = decision  # type: ignore[attr-defined]  # for RateHeaders
    return decision


def _refuse(decision: RateDecision | None) -> None:
    if decision and not decision.allowed:
        raise throttled(decision.retry_after_seconds, rate_headers(decision))


def _refuse_kind(decision: RateDecision | None, what: str) -> None:
    """Refuse one kind of request. Without the RateLimit headers, which are about all that read or write."""
    if decision and not decision.allowed:
        detail = f"At most {decision.limit} {what} per minute; the next one in {decision.retry_after_seconds} s."
        raise over_limit("throttled", detail, retry_after_seconds=decision.retry_after_seconds)


def _take_for_caller(caller: Caller, rate_class: RateClass) -> RateDecision | None:
    return _take_token(f"owner:{caller.owner.pk}", rate_class)


def _take_for_address(request: HttpRequest, rate_class: RateClass = RateClass.ADDRESS) -> RateDecision | None:
    return _take_token(f"address:{client_network(request.META.get('REMOTE_ADDR', ''))}", rate_class)


def _take_token(bucket: str, rate_class: RateClass, *, times: int = 1) -> RateDecision | None:
    """Take a token from a bucket with `times` the rate of the class. Returns None without a limit."""
    per_minute = requests_per_minute(rate_class)
    if not per_minute:
        return None
    decision = rate_limiter().take(f"{rate_class}:{bucket}", Rate(per_minute * times))
    if not decision.allowed:
        metrics.RATE_LIMITED.add(rate=rate_class.value, by=bucket.partition(":")[0])
    return decision
