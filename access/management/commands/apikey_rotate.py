from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from access.services import DEFAULT_GRACE_SECONDS, key_rotate, key_with_prefix


class Command(BaseCommand):
    help = "Replace the secret of an API key. The new key is printed once, alone on standard output."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("prefix", help="prefix as in apikey_list")
        parser.add_argument(
            "--grace-seconds",
            type=int,
            default=DEFAULT_GRACE_SECONDS,
            help="time for which the previous secret is accepted",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        key = key_with_prefix(options["prefix"])
        if key is None:
            raise CommandError(f"no working key has the prefix {options['prefix']}; apikey_list shows them")
        _, generated = key_rotate(owner=key.owner, key_id=key.id, grace_seconds=options["grace_seconds"])
        self.stdout.write(generated.text)
