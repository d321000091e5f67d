from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from access.services import DEFAULT_OWNER, member_add, owner_named
from api.problems import Problem


class Command(BaseCommand):
    help = "Have a person act for an owner. The password of a new account is printed once, alone on standard output."
    requires_system_checks = ()  # they load all URLs with their pages

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help="user name; the account is created if missing")
        parser.add_argument("--owner", default=DEFAULT_OWNER, help="owner to act for; created if missing")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            password = member_add(owner=owner_named(options["owner"]), name=options["name"])
        except Problem as problem:
            raise CommandError(str(problem)) from None
        if password:
            self.stdout.write(password)
