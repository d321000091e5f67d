import secrets
from datetime import datetime, timedelta
from uuid import UUID

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import F, QuerySet
from django.db.models.functions import Now

from access.keys import NewKey, key_generate
from access.models import ApiKey, Member, Owner
from access.scopes import Scope
from api.problems import Problem, not_found
from coordination.wiring import invalidate

DEFAULT_OWNER = "default"
DEFAULT_GRACE_SECONDS = 24 * 3600
"""Time for which the previous secret of a rotated key is accepted."""
_PASSWORD_BYTES = 18


def default_owner() -> Owner:
    """Get or create the owner of an installation that has only one."""
    return owner_named(DEFAULT_OWNER)


def owner_named(name: str) -> Owner:
    """Get or create an owner."""
    return Owner.objects.get_or_create(name=name)[0]


@transaction.atomic
def member_add(*, owner: Owner, name: str) -> str | None:
    """Have a person act for an owner. Returns the password of a new account, which is not stored, or None.

    Raises Problem (409) when the person acts for another owner.
    """
    user, created = User.objects.get_or_create(username=name)
    member, _ = Member.objects.get_or_create(user=user, defaults={"owner": owner})
    if member.owner_id != owner.id:
        raise Problem(status=409, code="other_owner", detail=f"{name} acts for another owner already.")
    if not created:
        return None
    password = secrets.token_urlsafe(_PASSWORD_BYTES)
    user.set_password(password)
    user.save(update_fields=["password"])
    return password


def keys_of(owner: Owner) -> QuerySet[ApiKey]:
    """Select the keys of an owner that are not revoked, unordered."""
    return ApiKey.objects.filter(owner=owner, revoked_at=None)


@transaction.atomic
def key_create(
    *, owner: Owner, name: str, scopes: list[Scope], expires_at: datetime | None = None, max_keys: int | None = None
) -> tuple[ApiKey, NewKey]:
    """Create a key. The second value has its text, which is not stored.

    Raises Problem (409) when the owner has `max_keys` that work; None: any number.
    """
    if max_keys is not None:
        _refuse_more_keys(owner, max_keys)
    generated = key_generate()
    key = ApiKey.objects.create(
        owner=owner,
        name=name,
        scopes=sorted(set(scopes)),
        prefix=generated.prefix,
        sha256=generated.digest,
        expires_at=expires_at,
    )
    key.refresh_from_db()
    return key, generated


def _refuse_more_keys(owner: Owner, max_keys: int) -> None:
    Owner.objects.select_for_update(no_key=True).get(id=owner.id)  # two at once would both count the same
    working = keys_of(owner).exclude(expires_at__lte=Now())
    if working.count() >= max_keys:
        detail = f"There are {max_keys} keys that work already, which is the most. Revoke one, or let one expire."
        raise Problem(status=409, code="too_many_keys", detail=detail)


@transaction.atomic
def key_rotate(*, owner: Owner, key_id: UUID, grace_seconds: int = DEFAULT_GRACE_SECONDS) -> tuple[ApiKey, NewKey]:
    """Replace the secret of a key; the previous one is accepted for `grace_seconds`. Raises Problem (404)."""
    key = key_find(owner=owner, key_id=key_id)
    invalidate(f"key:{key.prefix}")
    generated = key_generate(key.prefix)
    keys_of(owner).filter(id=key_id).update(
        previous_sha256=F("sha256"), previous_until=Now() + timedelta(seconds=grace_seconds), sha256=generated.digest
    )
    key.refresh_from_db()
    return key, generated


@transaction.atomic
def key_revoke(*, owner: Owner, key_id: UUID) -> None:
    """Revoke a key at once. Raises Problem (404)."""
    key = key_find(owner=owner, key_id=key_id)
    invalidate(f"key:{key.prefix}")
    if not keys_of(owner).filter(id=key_id).update(revoked_at=Now()):
        raise not_found("key")


def key_find(*, owner: Owner, key_id: UUID) -> ApiKey:
    """Find a key of an owner. Raises Problem (404)."""
    key = keys_of(owner).filter(id=key_id).first()
    if key is None:
        raise not_found("key")
    return key


def key_with_prefix(prefix: str) -> ApiKey | None:
    """Find a key of any owner that is not revoked by its prefix, with or without `vm_`."""
    return ApiKey.objects.filter(prefix=prefix.removeprefix("vm_"), revoked_at=None).select_related("owner").first()
