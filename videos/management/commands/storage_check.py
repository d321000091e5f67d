from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from storage.checking import Level
from storage.wiring import check_store


class Command(BaseCommand):
    help = "Try everything out that the platform needs of its store. Prints what works, what does not, and what copes."

    def handle(self, *args: Any, **options: Any) -> None:
        failures = 0
        for finding in check_store(settings.TRANSCODER):
            failures += finding.level is Level.FAILED
            self.stdout.write(f"{finding.level:8} {finding.text}")
        if failures:
            raise CommandError(f"{failures} of these must be mended before the store can be used: docs/storage.md")
