from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from access.models import ApiKey


class Command(BaseCommand):
    help = "List API keys, newest first: prefix, owner, name, scopes, dates of creation, last use and expiry."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--owner", help="only the keys of this owner")

    def handle(self, *args: Any, **options: Any) -> None:
        keys = ApiKey.objects.select_related("owner").order_by("-created_at")
        if options["owner"]:
            keys = keys.filter(owner__name=options["owner"])
        for key in keys:
            self.stdout.write(_line(key))


def _line(key: ApiKey) -> str:
    used = f"used {key.last_used_at:%Y-%m-%d %H:%M}" if key.last_used_at else "never used"
    end = f"revoked {key.revoked_at:%Y-%m-%d}" if key.revoked_at else "never expires"
    if not key.revoked_at and key.expires_at:
        end = f"expires {key.expires_at:%Y-%m-%d}"
    return "\t".join(
        (key.prefix, key.owner.name, key.name, ",".join(key.scopes), f"created {key.created_at:%Y-%m-%d}", used, end)
    )
