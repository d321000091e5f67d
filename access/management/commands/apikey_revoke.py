from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from access.services import key_revoke, key_with_prefix


class Command(BaseCommand):
    help = "Revoke an API key."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("prefix", help="prefix as in apikey_list")

    def handle(self, *args: Any, **options: Any) -> None:
        key = key_with_prefix(options["prefix"])
        if key is None:
            raise CommandError(f"no working key has the prefix {options['prefix']}; apikey_list shows them")
        key_revoke(owner=key.owner, key_id=key.id)
        self.stdout.write(f"{key.prefix} is revoked")
