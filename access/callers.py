"""Callers: lookup of the API key or the person behind a request, with owner and scopes."""

from __future__ import annotations

import hmac
import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from io import BytesIO
from uuid import UUID

from django.core.handlers.asgi import ASGIRequest
from django.db import connection
from django.db.models import Q
from django.db.models.functions import Now

from access.keys import key_digest, key_prefix
from access.models import ApiKey, Member, Owner
from access.parties import known_keys
from access.scopes import Scope, allows
from access.sessions import PresentedSession, session_of, session_works
from api.asgi import Scope as AsgiScope
from api.problems import Problem
from coordination.wiring import response_cache

LAST_USED_SECONDS = 60
"""Precision of `last_used_at`: it is written at most this often."""
CALLER_TTL_SECONDS = 5.0
"""TTL of cached keys. An expired key may work this much longer; rotation and revocation invalidate the cache."""
CHALLENGE = {"WWW-Authenticate": 'Bearer realm="vodmill"'}


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Authenticated sender of a request."""

    owner: Owner
    """Owner that it acts for. All queries of a request are limited to this owner's rows."""
    scopes: frozenset[str]
    key_id: UUID | None = None
    """None for a logged-in person."""

    def require(self, scope: Scope) -> None:
        """Raise Problem (403) unless the caller has the scope."""
        if not self.may(scope):
            raise Problem(status=403, code="scope_missing", detail=f"This requires the scope `{scope}`.")

    def may(self, scope: Scope) -> bool:
        return allows(self.scopes, scope)


def caller_from_scope(scope: AsgiScope, required: Scope, *, keys_only: bool = False) -> Caller:
    """Find the caller of a request in front of Django, by its key or its session. Raises Problem (401, 403)."""
    text = key_in_headers(ASGIRequest(scope, BytesIO()).headers)
    if text is None and keys_only:
        raise not_authenticated()
    caller = _caller_of_session(scope) if text is None else caller_of_key(text)
    caller.require(required)
    return caller


def _caller_of_session(scope: AsgiScope) -> Caller:
    session = session_of(scope)
    if session is None:
        raise not_authenticated()
    return caller_of_user(session.user_id)


@dataclass(frozen=True, slots=True)
class PresentedKey:
    """Key of a request, without its text."""

    prefix: str
    digest: str


Presented = PresentedKey | PresentedSession
"""Credential of a request, for later checks during a long one."""


def presented(scope: AsgiScope) -> Presented:
    """Return the credential that `caller_from_scope` accepted."""
    text = key_in_headers(ASGIRequest(scope, BytesIO()).headers)
    session = session_of(scope) if text is None else None
    return session or PresentedKey(key_prefix(text or "") or "", key_digest(text or ""))


def still_working(credentials: Collection[Presented]) -> set[Presented]:
    """Return those of the credentials that still work: one query for all keys, two for each session."""
    keys = {each for each in credentials if isinstance(each, PresentedKey)}
    found = _working(key.prefix for key in keys) if keys else []
    accepted = {(key.prefix, digest) for key in found for digest in key.digests}
    sessions = {each for each in credentials if isinstance(each, PresentedSession)}
    return {key for key in keys if (key.prefix, key.digest) in accepted} | set(filter(session_works, sessions))


def key_in_headers(headers: Mapping[str, str]) -> str | None:
    """Return the text of the key in `Authorization: Bearer` or `X-API-Key`, unchecked."""
    scheme, _, credentials = headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return credentials.strip()
    return headers.get("X-API-Key")


def caller_of_key(text: str) -> Caller:
    """Find the caller of a key. Raises Problem (401) for an unknown, revoked or expired key.

    Callers are cached for `CALLER_TTL_SECONDS`; rotating or revoking a key invalidates its entries. A cache miss is one
    query, and one write when `last_used_at` is older than a minute.
    """
    caller = _caller_of_key(text)
    known_keys.remember(text, caller.owner.id)
    return caller


def _caller_of_key(text: str) -> Caller:
    prefix = key_prefix(text)
    cache = response_cache()
    if prefix is None or cache is None:
        return _caller(_working_key(text))
    cached = json.loads(cache.get("key", prefix, key_digest(text), lambda: _cache_entry(_working_key(text))))
    owner = Owner(id=UUID(cached["owner"]), name=cached["owner_name"])
    return Caller(owner=owner, scopes=frozenset(cached["scopes"]), key_id=UUID(cached["key"]))


def _working_key(text: str) -> _WorkingKey:
    key = _find(text)
    if key is None:
        raise Problem(status=401, code="invalid_key", detail="This API key does not work.", headers=CHALLENGE)
    return key


def _caller(key: _WorkingKey) -> Caller:
    owner = Owner(id=key.owner_id, name=key.owner_name)
    return Caller(owner=owner, scopes=frozenset(key.scopes), key_id=key.id)


def _cache_entry(key: _WorkingKey) -> tuple[bytes, float]:
    document = {"key": str(key.id), "owner": str(key.owner_id), "owner_name": key.owner_name, "scopes": key.scopes}
    return json.dumps(document).encode(), CALLER_TTL_SECONDS


def caller_of_user(user_id: int) -> Caller:
    """Find the owner that a logged-in person acts for. Raises Problem (403) when there is none."""
    member = Member.objects.filter(user=user_id).select_related("owner").first()
    if member is None:
        raise Problem(status=403, code="no_owner", detail="This account acts for no owner.")
    return Caller(owner=member.owner, scopes=frozenset({Scope.ADMIN}))


def not_authenticated() -> Problem:
    """Build the Problem (401) of a request without a key."""
    detail = "An API key is required, as `Authorization: Bearer KEY` or `X-API-Key: KEY`."
    return Problem(status=401, code="not_authenticated", detail=detail, headers=CHALLENGE)


# Text, since every request that is not cached runs it, and the ORM takes ten times the processor time. Expiry is
# checked by the database's clock.
_WORKING = """
SELECT key.id, key.prefix, key.owner_id, owner.name, key.scopes,
       CASE WHEN key.previous_until > statement_timestamp() THEN ARRAY[key.sha256, key.previous_sha256]
            ELSE ARRAY[key.sha256] END,
       coalesce(key.last_used_at > statement_timestamp() - %(precision)s * interval '1 second', false)
FROM access_apikey key JOIN access_owner owner ON owner.id = key.owner_id
WHERE key.prefix = ANY(%(prefixes)s) AND key.revoked_at IS NULL
      AND (key.expires_at IS NULL OR key.expires_at > statement_timestamp())
"""


@dataclass(frozen=True, slots=True)
class _WorkingKey:
    """A key that is neither revoked nor expired."""

    id: UUID
    prefix: str
    owner_id: UUID
    owner_name: str
    scopes: list[str]
    digests: list[str]
    """Digests of the secrets that it accepts: its own, and the previous one while that is accepted."""
    used_recently: bool


def _working(prefixes: Iterable[str]) -> list[_WorkingKey]:
    """Read the working keys with these prefixes."""
    with connection.cursor() as cursor:
        cursor.execute(_WORKING, {"prefixes": list(prefixes), "precision": LAST_USED_SECONDS})
        return [_WorkingKey(*row) for row in cursor.fetchall()]


def _find(text: str) -> _WorkingKey | None:
    """Find the working key with this text."""
    prefix = key_prefix(text)
    if prefix is None:
        return None
    digest = key_digest(text)
    for key in _working([prefix]):
        if any(hmac.compare_digest(digest, known) for known in key.digests):
            if not key.used_recently:
                _record_use(key)
            return key
    return None


def _record_use(key: _WorkingKey) -> None:
    """Write `last_used_at`, unless another request has done so a moment ago."""
    recently = Q(last_used_at__gt=Now() - timedelta(seconds=LAST_USED_SECONDS))
    ApiKey.objects.filter(id=key.id).exclude(recently).update(last_used_at=Now())
