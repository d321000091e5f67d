from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from access.services import DEFAULT_OWNER, member_add, owner_named
from api.problems import Problem


class Command(BaseCommand):
    help = "Let a person act for an owner. The password of somebody new is printed once, alone on standard output."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help="the name to log in with; made where there is no such user")
        parser.add_argument("--owner", default=DEFAULT_OWNER, help="for whom; made where there is no such owner")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            password = member_add(owner=owner_named(options["owner"]), name=options["name"])
        except Problem as problem:
            raise CommandError(str(problem)) from None
        if password:
            self.stdout.write(password)
