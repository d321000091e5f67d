from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from execution.scratch import liveness_folder
from observability.liveness import liveness_faults


class Command(BaseCommand):
    help = "For probes: fail unless the dispatcher on this host was active lately."
    requires_system_checks = ()  # they load all URLs with their pages

    def handle(self, *args: Any, **options: Any) -> None:
        if faults := liveness_faults(liveness_folder(settings.TRANSCODER.execution), "dispatcher"):
            raise CommandError("; ".join(faults))
