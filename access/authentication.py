"""Authentication and permissions for REST framework. `request.auth` is a Caller; views name their scopes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from django.contrib.auth.models import AnonymousUser
from rest_framework import authentication
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from access.callers import CHALLENGE, Caller, caller_of_key, caller_of_user, key_in_headers, not_authenticated
from access.models import Owner
from access.rates import check_unauthenticated_rate
from access.scopes import ANY_SCOPE, Scope
from api.problems import Problem
from api.request_log import describe_request

if TYPE_CHECKING:  # a circular import: REST framework's views load these classes by the settings
    from rest_framework.views import APIView


class ApiKeyAuthentication(authentication.BaseAuthentication):
    """Authentication of programs by a key in the header `Authorization` or `X-API-Key`."""

    def authenticate(self, request: Request) -> tuple[AnonymousUser, Caller] | None:
        text = key_in_headers(request.headers)
        if text is None:
            return None
        try:
            caller = caller_of_key(text)
        except Problem:
            check_unauthenticated_rate(request._request)  # noqa: SLF001 - Django's
            raise
        return AnonymousUser(), _annotated(request, caller)

    def authenticate_header(self, request: Request) -> str:  # noqa: ARG002 - REST framework's signature
        return CHALLENGE["WWW-Authenticate"]


class SessionAuthentication(authentication.SessionAuthentication):
    """Authentication of logged-in people. Unsafe methods require a CSRF token."""

    def authenticate(self, request: Request) -> tuple[Any, Caller] | None:
        found = super().authenticate(request)
        return None if found is None else (found[0], _annotated(request, caller_of_user(found[0].pk)))


def _annotated(request: Request, caller: Caller) -> Caller:
    """Note the owner in the access log."""
    describe_request(getattr(request._request, "scope", {}), owner_id=caller.owner.id)  # noqa: SLF001 - Django's
    return caller


class HasScope(BasePermission):
    """Permission by the view's `scopes`, a mapping of methods to scopes.

    A method of the view without a scope is refused; one that the view lacks is left to REST framework's 405.
    """

    def has_permission(self, request: Request, view: APIView) -> bool:
        if request.auth is None:
            check_unauthenticated_rate(request._request)  # noqa: SLF001 - Django's
            raise not_authenticated()
        scope = required_scope(view, request.method or "")
        if scope is not None:
            if scope != ANY_SCOPE:
                caller(request).require(Scope(scope))
            return True
        return not hasattr(view, (request.method or "").lower()) or request.method == "OPTIONS"


def required_scope(view: APIView | type[APIView], method: str) -> str | None:
    """Return the scope that a method of a view requires, or ANY_SCOPE. HEAD requires that of GET."""
    scopes: Mapping[str, str] = getattr(view, "scopes", {})
    return scopes.get("GET" if method == "HEAD" else method)


def caller(request: Request) -> Caller:
    """Return the caller. Only views without authentication have none."""
    return cast("Caller", request.auth)


def owner_of(request: Request) -> Owner:
    """Return the owner that the caller acts for."""
    return caller(request).owner
