from datetime import UTC, datetime, timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from access.scopes import SCOPES, Scope
from access.services import DEFAULT_OWNER, key_create, owner_named


class Command(BaseCommand):
    help = "Create an API key. It is printed once, alone on standard output; only its SHA-256 is stored."
    requires_system_checks = ()  # they load all URLs with their pages

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help="purpose of the key")
        parser.add_argument("--owner", default=DEFAULT_OWNER, help="owner of the key; created if missing")
        parser.add_argument(
            "--scope",
            action="append",
            choices=SCOPES,
            help="scope of the key; may be repeated; admin (all scopes) by default",
        )
        parser.add_argument("--days", type=int, help="days until it expires; never by default")

    def handle(self, *args: Any, **options: Any) -> None:
        if not options["name"].strip():
            raise CommandError("the name must not be empty")
        days = options["days"]
        if days is not None and days < 1:
            raise CommandError("--days must be at least 1")
        _, generated = key_create(
            owner=owner_named(options["owner"]),
            name=options["name"],
            scopes=options["scope"] or [Scope.ADMIN],
            expires_at=datetime.now(UTC) + timedelta(days=days) if days is not None else None,
        )
        self.stdout.write(generated.text)
