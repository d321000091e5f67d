"""Quotas of owners: bytes that they store, and minutes of the sources that they add in a month."""

from datetime import UTC, datetime, time, timedelta
from uuid import UUID

from django.db.models import Sum
from django.db.models.functions import Coalesce, Greatest

from access.limits import OwnerLimits, limits_of
from access.models import Owner
from api.problems import FieldError, Problem
from videos.models import Import, Upload
from videos.states import UploadState, VideoState
from videos.usage.kinds import UsageKind, minutes
from videos.usage.selectors import Usage, this_month, today, usage_of

CODE = "quota_exceeded"


def reserved_bytes(owner_id: UUID) -> int:
    """Return the bytes of an owner's open uploads and imports: those that were promised, or sent already."""
    uploads = Upload.objects.filter(owner=owner_id, state=UploadState.OPEN)
    promised = Sum(Greatest(Coalesce("size_bytes", 0), "received_bytes"))
    imports = Import.objects.filter(video__owner=owner_id, video__state=VideoState.IMPORTING)
    return sum(int(rows.aggregate(promised=promised)["promised"] or 0) for rows in (uploads, imports))


def bytes_left(owner_id: UUID) -> int | None:
    """Return the bytes that an owner may still send, at least 0. None: any number."""
    limit = limits_of(owner_id).max_stored_bytes
    return None if limit is None else max(0, limit - _taken(owner_id, _usage(owner_id)))


def quota_check(owner_id: UUID, *, more_bytes: int = 0, field: str = "", source: bool = True) -> None:
    """Refuse what an owner has no room for. Others may take the room in the meantime: see `quota_keep`.

    `more_bytes` will be stored. `source`: it is a source, which takes minutes of the month, too. Raises Problem: 403,
    429 for minutes, both `quota_exceeded`.
    """
    limits = limits_of(owner_id)
    if limits.max_stored_bytes is None and limits.max_source_minutes is None:
        return
    usage = _usage(owner_id)
    if limits.max_stored_bytes is not None:
        taken = _taken(owner_id, usage)
        if taken + max(more_bytes, 1) > limits.max_stored_bytes:
            raise _too_many_bytes(taken, more_bytes, limits.max_stored_bytes, field)
    if source:
        _check_minutes(limits, usage)


def quota_keep(owner_id: UUID, *, field: str = "") -> None:
    """Refuse what this transaction has just stored or reserved, if the owner has more than it may.

    Locks the owner until the transaction ends, so that two at once cannot both take the same room. Call it last.
    Raises Problem (403) `quota_exceeded`.
    """
    limit = limits_of(owner_id).max_stored_bytes
    if limit is None:
        return
    Owner.objects.select_for_update(no_key=True).get(id=owner_id)
    taken = _taken(owner_id, _usage(owner_id))
    if taken > limit:
        raise _too_many_bytes(taken, 0, limit, field)


def quota_spent(left: int, *, field: str) -> Problem:
    """Build the problem of a file that turned out to be larger than the bytes that its owner had left."""
    detail = f"The file is larger than the {left} bytes that are left of what you may store."
    return Problem(status=403, code=CODE, detail=detail, errors=(FieldError(field, detail),))


def _usage(owner_id: UUID) -> Usage:
    return usage_of(owner_id, since=today())


def _taken(owner_id: UUID, usage: Usage) -> int:
    return usage.now.stored_bytes + reserved_bytes(owner_id)


def _check_minutes(limits: OwnerLimits, usage: Usage) -> None:
    limit = limits.max_source_minutes
    if limit is None:
        return
    used = minutes(this_month(usage).came[UsageKind.SOURCE_MS])
    if used < limit:
        return
    reset = _next_month()
    detail = (
        f"You have added {used:.1f} minutes of video this month, and {limit} are allowed. More are accepted from"
        f" {reset:%Y-%m-%d} 00:00 UTC on."
    )
    seconds = max(1, int((reset - datetime.now(UTC)).total_seconds()))
    raise Problem(status=429, code=CODE, detail=detail, retryable=True, headers={"Retry-After": str(seconds)})


def _next_month() -> datetime:
    return datetime.combine(today().replace(day=1) + timedelta(days=31), time(), UTC).replace(day=1)


def _too_many_bytes(taken: int, more: int, limit: int, field: str) -> Problem:
    more_text = f", this would be {more} more" if more else ""
    detail = (
        f"You store {taken} bytes with what is being uploaded{more_text}, and {limit} are allowed. Delete videos,"
        " sources or outputs, or abort uploads; `GET /api/v1/usage` shows what they take."
    )
    errors = (FieldError(field, f"does not fit into the {max(0, limit - taken)} bytes that are left"),) if field else ()
    return Problem(status=403, code=CODE, detail=detail, errors=errors)
