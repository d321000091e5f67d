"""REST framework's view of access: who asks is in `request.auth`, a Caller; every view says what it needs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from django.contrib.auth.models import AnonymousUser
from rest_framework import authentication
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from access.callers import CHALLENGE, Caller, caller_of_key, caller_of_user, key_sent, no_caller
from access.models import Owner
from access.rates import stranger_take
from access.scopes import Scope
from api.problems import Problem

if TYPE_CHECKING:  # what defines views asks the settings for these classes
    from rest_framework.views import APIView


class ApiKeyAuthentication(authentication.BaseAuthentication):
    """Programs: a key in the header `Authorization` or `X-API-Key`."""

    def authenticate(self, request: Request) -> tuple[AnonymousUser, Caller] | None:
        text = key_sent(request.headers)
        if text is None:
            return None
        try:
            return AnonymousUser(), caller_of_key(text)
        except Problem:
            stranger_take(request._request)  # noqa: SLF001 - Django's
            raise

    def authenticate_header(self, request: Request) -> str:  # noqa: ARG002 - REST framework's signature
        return CHALLENGE["WWW-Authenticate"]


class SessionAuthentication(authentication.SessionAuthentication):
    """People who logged in; whatever changes something needs a CSRF token."""

    def authenticate(self, request: Request) -> tuple[Any, Caller] | None:
        found = super().authenticate(request)
        return None if found is None else (found[0], caller_of_user(found[0].pk))


class HasScope(BasePermission):
    """Lets a caller do what the view's `scopes` names for the method; a method that is not there names none.

    A view that says nothing lets nobody in.
    """

    def has_permission(self, request: Request, view: APIView) -> bool:
        if request.auth is None:
            stranger_take(request._request)  # noqa: SLF001 - Django's
            raise no_caller()
        scope = required_scope(view, request.method or "")
        if scope is not None:
            caller(request).require(scope)
            return True
        return not hasattr(view, (request.method or "").lower()) or request.method == "OPTIONS"


def required_scope(view: APIView | type[APIView], method: str) -> Scope | None:
    """What a view says that this method needs; HEAD needs what GET does."""
    scopes: Mapping[str, Scope] = getattr(view, "scopes", {})
    return scopes.get("GET" if method == "HEAD" else method)


def caller(request: Request) -> Caller:
    """Who asks; views have one unless they are open to everybody."""
    return cast("Caller", request.auth)


def owner_of(request: Request) -> Owner:
    """For whom a request is made."""
    return caller(request).owner
