"""Callers: lookup of the API key or the person behind a request, with owner and scopes."""

import hmac
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import timedelta
from io import BytesIO
from typing import Any, cast
from uuid import UUID

from django.core.handlers.asgi import ASGIRequest
from django.db.models import Case, Q, QuerySet, TextField, Value, When
from django.db.models.functions import Now

from access.keys import key_digest, key_prefix
from access.models import ApiKey, Member, Owner
from access.scopes import Scope, allows
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
        if not allows(self.scopes, scope):
            raise Problem(status=403, code="scope_missing", detail=f"This requires the scope `{scope}`.")


def caller_from_scope(scope: AsgiScope, required: Scope) -> Caller:
    """Find the caller of a request in front of Django. Raises Problem (401, 403).

    Accepts keys only, no sessions: foreign pages can send forms, and in some browsers open streams, with cookies.
    """
    text = key_in_headers(ASGIRequest(scope, BytesIO()).headers)
    if text is None:
        raise not_authenticated()
    caller = caller_of_key(text)
    caller.require(required)
    return caller


@dataclass(frozen=True, slots=True)
class PresentedKey:
    """Key of a request, without its text."""

    prefix: str
    digest: str


def presented_key(scope: AsgiScope) -> PresentedKey:
    """Return the key that `caller_from_scope` accepted, for later checks during a long request."""
    text = key_in_headers(ASGIRequest(scope, BytesIO()).headers) or ""
    return PresentedKey(key_prefix(text) or "", key_digest(text))


def working_keys(keys: Collection[PresentedKey]) -> set[PresentedKey]:
    """Return those of the keys that still work, with one query."""
    found = _working().filter(prefix__in={presented.prefix for presented in keys})
    accepted = {(key.prefix, digest) for key in found for digest in (key.sha256, key.also_accepted)}
    return {presented for presented in keys if (presented.prefix, presented.digest) in accepted}


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
    prefix = key_prefix(text)
    cache = response_cache()
    if prefix is None or cache is None:
        return _caller(_working_key(text))
    cached = json.loads(cache.get("key", prefix, key_digest(text), lambda: _cache_entry(_working_key(text))))
    owner = Owner(id=UUID(cached["owner"]), name=cached["owner_name"])
    return Caller(owner=owner, scopes=frozenset(cached["scopes"]), key_id=UUID(cached["key"]))


def _working_key(text: str) -> ApiKey:
    key = _find(text)
    if key is None:
        raise Problem(status=401, code="invalid_key", detail="This API key does not work.", headers=CHALLENGE)
    return key


def _caller(key: ApiKey) -> Caller:
    return Caller(owner=key.owner, scopes=frozenset(key.scopes), key_id=key.id)


def _cache_entry(key: ApiKey) -> tuple[bytes, float]:
    document = {"key": str(key.id), "owner": str(key.owner_id), "owner_name": key.owner.name, "scopes": key.scopes}
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


_WORKING = Q(revoked_at=None) & (Q(expires_at=None) | Q(expires_at__gt=Now()))
_USED_RECENTLY = Q(last_used_at__gt=Now() - timedelta(seconds=LAST_USED_SECONDS))


def _working() -> QuerySet[Any]:
    """Select working keys. `also_accepted` is the digest of the previous secret while it is accepted."""
    accepted = Case(When(previous_until__gt=Now(), then="previous_sha256"), default=Value(""), output_field=TextField())
    return ApiKey.objects.filter(_WORKING).annotate(also_accepted=accepted)


def _find(text: str) -> ApiKey | None:
    """Find the working key with this text. Expiry is checked by the database's clock."""
    prefix = key_prefix(text)
    if prefix is None:
        return None
    recently = Case(When(_USED_RECENTLY, then=True), default=False)
    key: Any = _working().filter(prefix=prefix).select_related("owner").annotate(used_recently=recently).first()
    digest = key_digest(text)
    if key is None or not any(hmac.compare_digest(digest, known) for known in (key.sha256, key.also_accepted)):
        return None
    if not key.used_recently:
        ApiKey.objects.filter(id=key.id).exclude(_USED_RECENTLY).update(last_used_at=Now())
    return cast("ApiKey", key)
