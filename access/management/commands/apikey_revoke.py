from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db.models.functions import Now

from access.models import ApiKey


class Command(BaseCommand):
    help = "Have an API key not work from now on."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("prefix", help="as apikey_list shows it")

    def handle(self, *args: Any, **options: Any) -> None:
        if not ApiKey.objects.filter(prefix=options["prefix"], revoked_at=None).update(revoked_at=Now()):
            raise CommandError(f"no working key has the prefix {options['prefix']}")
        self.stdout.write(f"{options['prefix']} is revoked")
