"""How fast a key may ask, and an address that has none that works."""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Callable
from enum import StrEnum
from http import HTTPStatus
from io import BytesIO
from typing import TYPE_CHECKING, cast

from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, HttpResponseBase
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from access.callers import Caller, caller_in
from access.scopes import Scope
from access.wiring import requests_per_minute
from api.asgi import Scope as AsgiScope
from api.problems import Problem
from coordination.rates import Rate, RateDecision
from coordination.wiring import rate_limiter
from observability import metrics

if TYPE_CHECKING:  # what defines views asks the settings for these classes
    from rest_framework.views import APIView

_READS = frozenset({"GET", "HEAD", "OPTIONS"})
_IPV6_SITE = 64
_ADDRESSES_PER_NAME = 10


class RateClass(StrEnum):
    READ = "read"
    WRITE = "write"
    UPLOAD = "upload"
    ADDRESS = "address"
    LOGIN = "login"


class RateLimit(BaseThrottle):
    """REST framework's view of it: reads and writes of one key, or of one person, each have a bucket."""

    _verdict: RateDecision | None = None

    def allow_request(self, request: Request, view: APIView) -> bool:  # noqa: ARG002 - its signature
        rate_class = RateClass.READ if request.method in _READS else RateClass.WRITE
        caller = cast("Caller | None", request.auth)
        self._verdict = _take(caller, rate_class) if caller else _take_address(request._request)  # noqa: SLF001 - Django's
        if self._verdict:
            request._request.rate = self._verdict  # type: ignore[attr-defined]  # noqa: SLF001 - for RateHeaders
        return self._verdict is None or self._verdict.allowed

    def wait(self) -> float | None:
        return self._verdict.retry_after_seconds if self._verdict else None


class RateHeaders:
    """Middleware that tells every client of its bucket. Whoever was refused gets a 429, whatever page says so."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self._get_response(request)
        verdict: RateDecision | None = getattr(request, "rate", None)
        if verdict:
            for name, value in rate_headers(verdict).items():
                response.headers[name] = value
            if not verdict.allowed:
                response.status_code = HTTPStatus.TOO_MANY_REQUESTS
        return response


def rate_headers(verdict: RateDecision) -> dict[str, str]:
    """The fields of the IETF's draft, and when to come back."""
    headers = {
        "RateLimit-Limit": str(verdict.limit),
        "RateLimit-Remaining": str(verdict.remaining),
        "RateLimit-Reset": str(verdict.reset_seconds),
    }
    return headers if verdict.allowed else {**headers, "Retry-After": str(verdict.retry_after_seconds)}


def caller_admitted(scope: AsgiScope, wanted: Scope) -> Caller:
    """As `caller_in`; an address that shows no key that works may ask only so fast. Raises Problem (401, 403, 429)."""
    try:
        return caller_in(scope, wanted)
    except Problem as problem:
        if problem.status == HTTPStatus.UNAUTHORIZED:
            stranger_take(ASGIRequest(scope, BytesIO()))
        raise


def upload_take(caller: Caller) -> None:
    """Let a caller upload. Raises Problem (429) when that comes too fast."""
    _refuse(_take(caller, RateClass.UPLOAD))


def stranger_take(request: HttpRequest) -> None:
    """Let an address ask that showed no key that works. Raises Problem (429) when that comes too fast."""
    _refuse(_take_address(request))


def login_take(request: HttpRequest, name: str) -> RateDecision | None:
    """Let somebody try a password: so many times from one address, and ten times as many with one name from wherever.

    The address counts first: one alone can neither use up the tries of a name, which would keep its owner out, nor push
    those of many names out of memory.
    None: there is no limit.
    """
    verdict = _take_address(request, RateClass.LOGIN)
    if verdict and verdict.allowed:
        digest = hashlib.sha256(name.encode(errors="replace")).hexdigest()
        verdict = _taken(f"name:{digest}", RateClass.LOGIN, times=_ADDRESSES_PER_NAME)
    request.rate = verdict  # type: ignore[attr-defined]  # for RateHeaders
    return verdict


def _refuse(verdict: RateDecision | None) -> None:
    if verdict and not verdict.allowed:
        detail = f"Too many requests; the next one is answered in {verdict.retry_after_seconds} s."
        raise Problem(status=429, code="throttled", detail=detail, retryable=True, headers=rate_headers(verdict))


def _take(caller: Caller, rate_class: RateClass) -> RateDecision | None:
    who = f"key:{caller.key_id}" if caller.key_id else f"owner:{caller.owner.pk}"
    return _taken(who, rate_class)


def _take_address(request: HttpRequest, rate_class: RateClass = RateClass.ADDRESS) -> RateDecision | None:
    return _taken(f"address:{_site_of(request.META.get('REMOTE_ADDR', ''))}", rate_class)


def _taken(who: str, rate_class: RateClass, *, times: int = 1) -> RateDecision | None:
    """Take one from a bucket of so many times the rate; None: there is no limit."""
    per_minute = requests_per_minute(rate_class)
    if not per_minute:
        return None
    verdict = rate_limiter().take(f"{rate_class}:{who}", Rate(per_minute * times))
    if not verdict.allowed:
        metrics.RATE_LIMITED.add(rate=rate_class.value, by=who.partition(":")[0])
    return verdict


def _site_of(address: str) -> str:
    """One client: an IPv4 address, or the network that a site with IPv6 has."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return "unknown"
    return str(ipaddress.ip_network((parsed, _IPV6_SITE), strict=False)) if parsed.version == 6 else address  # noqa: PLR2004
