"""The admin's page of an owner: its usage, and its limits as an operator sets them."""

from collections.abc import Mapping

from django.http import HttpRequest

from access.admin import OwnerAdmin
from access.limits import limits_in, limits_set
from access.models import Owner
from api.administration import Operation, panel
from api.problems import invalid_field
from videos.usage.kinds import STORED, UsageKind, minutes
from videos.usage.quotas import reserved_bytes
from videos.usage.selectors import this_month, today, usage_of

_GIGABYTE = 10**9
_MAX_INPUT = 1_000_000
_INPUT = "limit"
_HINT = "0: no limit. An owner without a limit of its own has that of the settings; owner_limits sets that again."


class OwnerUsageAdmin(OwnerAdmin):
    """Owners with what they store."""

    change_form_outer_after_template = "administration/tables.html"
    operations = (
        Operation(
            name="stored",
            label="Limit stored GB",
            run=lambda owner, entered: _set(owner, entered, "max_stored_bytes", _GIGABYTE),
            input_name=_INPUT,
            input_max=_MAX_INPUT,
        ),
        Operation(
            name="minutes",
            label="Limit source minutes a month",
            run=lambda owner, entered: _set(owner, entered, "max_source_minutes"),
            input_name=_INPUT,
            input_max=_MAX_INPUT,
        ),
        Operation(
            name="source-days",
            label="Days for which sources stay",
            run=lambda owner, entered: _set(owner, entered, "source_retention_days"),
            input_name=_INPUT,
            input_max=_MAX_INPUT,
            warning="Sources of videos that are inspected from now on are deleted after so many days.",
        ),
        Operation(
            name="output-days",
            label="Days for which outputs stay",
            run=lambda owner, entered: _set(owner, entered, "output_retention_days"),
            input_name=_INPUT,
            input_max=_MAX_INPUT,
            warning="Outputs of jobs that are completed from now on are deleted after so many days.",
        ),
    )

    def panels(self, request: HttpRequest, row: Owner) -> dict[str, object]:  # noqa: ARG002 - its signature
        usage, limits = usage_of(row.id, since=today()), limits_in(row)
        month = this_month(usage)
        figures: list[tuple[str, object, object]] = [
            ("stored bytes", usage.now.stored_bytes, _shown(limits.max_stored_bytes)),
            *((kind.removesuffix("_bytes").replace("_", " "), usage.now[kind], "") for kind in STORED),
            ("bytes of open uploads", reserved_bytes(row.id), ""),
            ("videos", usage.now[UsageKind.VIDEOS], ""),
            ("source minutes this month", minutes(month.came[UsageKind.SOURCE_MS]), _shown(limits.max_source_minutes)),
            ("days for which sources stay", "", _shown(limits.source_retention_days)),
            ("days for which outputs stay", "", _shown(limits.output_retention_days)),
        ]
        return {"tables": [panel("Usage and limits", ["what", "now", "limit"], figures, caption=_HINT)]}


def _set(owner: Owner, entered: Mapping[str, str], limit: str, unit: int = 1) -> None:
    text = entered.get(_INPUT, "")
    if not (text.isdecimal() and int(text) <= _MAX_INPUT):
        raise invalid_field(limit, f"must be a number from 0 to {_MAX_INPUT}")
    limits_set(owner=owner, **{limit: int(text) * unit})


def _shown(limit: int | None) -> object:
    return "none" if limit is None else limit
