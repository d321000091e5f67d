import time
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.db import DatabaseError

from observability.health import MigrationsApplied

_POLL_SECONDS = 3.0
_REPEAT_SECONDS = 30.0


class Command(BaseCommand):
    help = "Wait until the database answers and has every migration, and say what is waited for. For init containers."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--poll-seconds", type=float, default=_POLL_SECONDS, help="pause between two looks")

    def handle(self, *args: Any, **options: Any) -> None:
        applied, reported, repeat_at = MigrationsApplied(), "", 0.0
        while reason := _reason_to_wait(applied):
            if reason != reported or time.monotonic() >= repeat_at:
                self.stdout.write(f"waiting: {reason}")
                self.stdout.flush()
                reported, repeat_at = reason, time.monotonic() + _REPEAT_SECONDS
            time.sleep(options["poll_seconds"])
        self.stdout.write("every migration is applied")


def _reason_to_wait(applied: MigrationsApplied) -> str:
    try:
        applied()
    except DatabaseError as error:
        return f"the database does not answer: {' '.join(str(error).split())}"
    except RuntimeError as error:
        return f"{error}; the Job `prepare` or `manage.py migrate` applies them"
    return ""
