"""Limits of owners: those of their own rows, and the defaults of the installation."""

from dataclasses import dataclass
from uuid import UUID

from access.models import Owner
from access.wiring import default_limits

UNLIMITED = 0
"""Value of a column or a setting that stands for no limit. A column that is NULL stands for the setting."""
LIMITS = ("max_stored_bytes", "max_source_minutes", "source_retention_days", "output_retention_days")
"""Columns of `Owner`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnerLimits:
    """Limits as they hold for one owner. None: there is none, and nothing is deleted."""

    max_stored_bytes: int | None
    max_source_minutes: int | None
    """Of the sources that are added in a month of UTC."""
    source_retention_days: int | None
    """Default of sources."""
    output_retention_days: int | None
    """Default of the outputs of jobs."""


def limits_of(owner_id: UUID) -> OwnerLimits:
    """Read the limits that hold for an owner. One query: the owner of a request has no limits in it."""
    own = Owner.objects.values(*LIMITS).get(id=owner_id)
    return _limits(own)


def limits_in(owner: Owner) -> OwnerLimits:
    """Return the limits that hold for an owner whose row was read."""
    return _limits({name: getattr(owner, name) for name in LIMITS})


def _limits(own: dict[str, int | None]) -> OwnerLimits:
    defaults = default_limits()
    values = {name: defaults[name] if own[name] is None else own[name] for name in LIMITS}
    return OwnerLimits(**{name: value or None for name, value in values.items()})


def limits_set(*, owner: Owner, **values: int | None) -> None:
    """Set limits of an owner by the names of their columns. 0: unlimited; None: the default of the installation."""
    if unknown := values.keys() - set(LIMITS):
        raise ValueError(f"there are no limits {sorted(unknown)}")
    Owner.objects.filter(id=owner.id).update(**values)
