"""Who asks: found from what a request brings, with what it may do and for whom."""

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
from coordination.cache import Rendered
from coordination.wiring import response_cache

NOTE_USE_SECONDS = 60
"""A key's last use is written no more often than this."""
KEPT_SECONDS = 5.0
"""For so long a key may go on working after it expired."""
CHALLENGE = {"WWW-Authenticate": 'Bearer realm="vodmill"'}


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Whoever sent a request. Every query of it is about this owner's rows. No key: a person who logged in."""

    owner: Owner
    scopes: frozenset[str]
    key_id: UUID | None = None

    def require(self, scope: Scope) -> None:
        """Raise Problem (403) where this caller may not do that."""
        if not allows(self.scopes, scope):
            raise Problem(status=403, code="scope_missing", detail=f"This needs the scope `{scope}`.")


def caller_in(scope: AsgiScope, wanted: Scope) -> Caller:
    """Who sent a request that Django does not get to see, and may do this. Raises Problem (401, 403).

    Keys only: a form, and in some browsers a stream, is what a foreign page can ask for with somebody's cookies.
    """
    text = key_sent(ASGIRequest(scope, BytesIO()).headers)
    if text is None:
        raise no_caller()
    caller = caller_of_key(text)
    caller.require(wanted)
    return caller


@dataclass(frozen=True, slots=True)
class PresentedKey:
    """The key that a request brought, without its text."""

    prefix: str
    digest: str


def presented_key_in(scope: AsgiScope) -> PresentedKey:
    """What `caller_in` accepted, to be looked at again while the request goes on."""
    text = key_sent(ASGIRequest(scope, BytesIO()).headers) or ""
    return PresentedKey(key_prefix(text) or "", key_digest(text))


def keys_that_work(proofs: Collection[PresentedKey]) -> set[PresentedKey]:
    """Which of these keys still work, in one query."""
    found = _working().filter(prefix__in={proof.prefix for proof in proofs})
    accepted = {(key.prefix, digest) for key in found for digest in (key.sha256, key.also_accepted)}
    return {proof for proof in proofs if (proof.prefix, proof.digest) in accepted}


def key_sent(headers: Mapping[str, str]) -> str | None:
    """The key that a request brings as `Authorization: Bearer` or `X-API-Key`, whatever it is worth."""
    scheme, _, credentials = headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return credentials.strip()
    return headers.get("X-API-Key")


def caller_of_key(text: str) -> Caller:
    """Find who has this key. Raises Problem (401) for one that does not work (any more).

    What was found is kept for a few seconds and forgotten when the key is rotated or revoked. Otherwise one query, and
    a write where its last use was noted more than a minute ago.
    """
    prefix = key_prefix(text)
    cache = response_cache()
    if prefix is None or cache is None:
        return _caller(_working_key(text))
    kept = json.loads(cache.get("key", prefix, key_digest(text), lambda: _kept(_working_key(text))))
    owner = Owner(id=UUID(kept["owner"]), name=kept["owner_name"])
    return Caller(owner=owner, scopes=frozenset(kept["scopes"]), key_id=UUID(kept["key"]))


def _working_key(text: str) -> ApiKey:
    key = _find(text)
    if key is None:
        raise Problem(status=401, code="invalid_key", detail="This API key does not work.", headers=CHALLENGE)
    return key


def _caller(key: ApiKey) -> Caller:
    return Caller(owner=key.owner, scopes=frozenset(key.scopes), key_id=key.id)


def _kept(key: ApiKey) -> Rendered:
    shown = {"key": str(key.id), "owner": str(key.owner_id), "owner_name": key.owner.name, "scopes": key.scopes}
    return Rendered(json.dumps(shown).encode(), KEPT_SECONDS)


def caller_of_user(user_id: int) -> Caller:
    """Find whom a person who logged in acts for. Raises Problem (403) where that is nobody."""
    member = Member.objects.filter(user=user_id).select_related("owner").first()
    if member is None:
        raise Problem(status=403, code="no_owner", detail="This account acts for no owner.")
    return Caller(owner=member.owner, scopes=frozenset({Scope.ADMIN}))


def no_caller() -> Problem:
    """Say that a key is needed."""
    detail = "An API key is needed, as `Authorization: Bearer KEY` or `X-API-Key: KEY`."
    return Problem(status=401, code="not_authenticated", detail=detail, headers=CHALLENGE)


_WORKING = Q(revoked_at=None) & (Q(expires_at=None) | Q(expires_at__gt=Now()))
_USED_LATELY = Q(last_used_at__gt=Now() - timedelta(seconds=NOTE_USE_SECONDS))


def _working() -> QuerySet[Any]:
    """Keys that are neither revoked nor expired, `also_accepted`: the secret before, while it works."""
    accepted = Case(When(previous_until__gt=Now(), then="previous_sha256"), default=Value(""), output_field=TextField())
    return ApiKey.objects.filter(_WORKING).annotate(also_accepted=accepted)


def _find(text: str) -> ApiKey | None:
    """The working key with this text. Only the database's clock says what has expired."""
    prefix = key_prefix(text)
    if prefix is None:
        return None
    lately = Case(When(_USED_LATELY, then=True), default=False)
    key: Any = _working().filter(prefix=prefix).select_related("owner").annotate(used_lately=lately).first()
    digest = key_digest(text)
    if key is None or not any(hmac.compare_digest(digest, known) for known in (key.sha256, key.also_accepted)):
        return None
    if not key.used_lately:
        ApiKey.objects.filter(id=key.id).exclude(_USED_LATELY).update(last_used_at=Now())
    return cast("ApiKey", key)
