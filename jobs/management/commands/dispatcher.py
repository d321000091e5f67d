from typing import Any

from django.core.management.base import BaseCommand

from jobs.dispatcher import StopSignal
from jobs.wiring import dispatcher, janitor


class Command(BaseCommand):
    help = "Hand out tickets to workers and take back expired leases, until SIGTERM. Several may run; one acts."

    def handle(self, *args: Any, **options: Any) -> None:
        stop = StopSignal()
        stop.install()
        sweeping = janitor()
        sweeping.start()
        dispatcher().run(stop)
        sweeping.close()
