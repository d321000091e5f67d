import re
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from access.limits import LIMITS, UNLIMITED, limits_in, limits_set
from access.models import Owner
from videos.usage.kinds import UsageKind, minutes
from videos.usage.selectors import this_month, today, usage_of

_UNITS = {"": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12}
_VALUE = re.compile(r"(\d{1,15})\s*([kmgt]?b?)", re.IGNORECASE)


class Command(BaseCommand):
    help = "Show the usage and the limits of an owner, and set limits. A value: a number, `unlimited` or `default`."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("owner", help="name of the owner")
        parser.add_argument("--stored", dest="max_stored_bytes", help="bytes that it may store, such as 500GB")
        parser.add_argument("--source-minutes", dest="max_source_minutes", help="minutes of sources per month")
        parser.add_argument("--source-days", dest="source_retention_days", help="days for which sources stay")
        parser.add_argument("--output-days", dest="output_retention_days", help="days for which outputs stay")

    def handle(self, *args: Any, **options: Any) -> None:
        owner = Owner.objects.filter(name=options["owner"]).first()
        if owner is None:
            raise CommandError(f"there is no owner {options['owner']}")
        given = {name: _value(options[name]) for name in LIMITS if options.get(name)}
        if given:
            limits_set(owner=owner, **given)
            owner.refresh_from_db()
        usage, limits = usage_of(owner.id, since=today()), limits_in(owner)
        added = minutes(this_month(usage).came[UsageKind.SOURCE_MS])
        self.stdout.write(f"stored bytes: {usage.now.stored_bytes} of {_shown(limits.max_stored_bytes)}")
        self.stdout.write(f"source minutes this month: {added} of {_shown(limits.max_source_minutes)}")
        self.stdout.write(f"days for which sources stay: {_shown(limits.source_retention_days)}")
        self.stdout.write(f"days for which outputs stay: {_shown(limits.output_retention_days)}")


def _value(text: str) -> int | None:
    if text == "default":
        return None
    if text == "unlimited":
        return UNLIMITED
    found = _VALUE.fullmatch(text.strip())
    if found is None or found[2].lower() not in _UNITS or not int(found[1]):
        raise CommandError(f"{text} is no number above 0, `unlimited` or `default`")
    return int(found[1]) * _UNITS[found[2].lower()]


def _shown(limit: int | None) -> str:
    return "unlimited" if limit is None else str(limit)
