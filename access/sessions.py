"""Sessions of logged-in people in front of Django, where its middleware does not run: uploads and event streams.

A session counts only for requests of our own pages: whatever changes something carries their CSRF token, and what reads
is not from another site, which browsers say (`Sec-Fetch-Site`) and the cookie's `SameSite` ensures.
"""

from dataclasses import dataclass
from io import BytesIO

from django.contrib.auth import get_user
from django.contrib.sessions.backends.db import SessionStore
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, HttpResponse
from rest_framework.authentication import CSRFCheck

from access.wiring import session_cookie_name
from api.asgi import Scope
from api.problems import Problem

_BODY_HEADERS = frozenset({b"content-type", b"content-length", b"transfer-encoding"})
_OWN = frozenset({"same-origin", "none"})


@dataclass(frozen=True, slots=True)
class PresentedSession:
    """Session of a request: its key, and the person who has logged in with it."""

    key: str
    user_id: int


def session_of(scope: Scope) -> PresentedSession | None:
    """Find the session of a request of our own pages. None: nobody is logged in. Raises Problem (403)."""
    request = _without_body(scope)
    key = request.COOKIES.get(session_cookie_name())
    found = PresentedSession(key, user_id) if key and (user_id := _user_of(key)) is not None else None
    if found:
        _refuse_other_pages(request)
    return found


def session_works(session: PresentedSession) -> bool:
    """Tell whether the person of an earlier request is still logged in."""
    return _user_of(session.key) == session.user_id


def _user_of(session_key: str) -> int | None:
    request = HttpRequest()
    request.session = SessionStore(session_key)
    user = get_user(request)
    return user.pk if user.is_authenticated else None


def _without_body(scope: Scope) -> ASGIRequest:
    """Build Django's request; without the headers of a body, which its CSRF check would read."""
    headers = [(name, value) for name, value in scope["headers"] if name not in _BODY_HEADERS]
    return ASGIRequest({**scope, "headers": headers}, BytesIO())


def _refuse_other_pages(request: ASGIRequest) -> None:
    if request.headers.get("Sec-Fetch-Site", "same-origin") not in _OWN:
        raise Problem(status=403, code="csrf_failed", detail="Pages of other sites cannot use a login.")
    check = CSRFCheck(_no_view)
    check.process_request(request)
    reason = check.process_view(request, _no_view, (), {})
    if reason:
        raise Problem(status=403, code="csrf_failed", detail=f"The CSRF check failed. {reason}")


def _no_view(_request: HttpRequest) -> HttpResponse:
    return HttpResponse()
