from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from access.services import DEFAULT_GRACE_SECONDS, key_rotate, key_with_prefix


class Command(BaseCommand):
    help = "Give an API key a new secret. It is printed once, alone on standard output."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("prefix", help="as apikey_list shows it")
        parser.add_argument(
            "--grace-seconds", type=int, default=DEFAULT_GRACE_SECONDS, help="how long the old secret goes on working"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        key = key_with_prefix(options["prefix"])
        if key is None:
            raise CommandError(f"no working key has the prefix {options['prefix']}; apikey_list shows them")
        _, made = key_rotate(owner=key.owner, key_id=key.id, grace_seconds=options["grace_seconds"])
        self.stdout.write(made.text)
