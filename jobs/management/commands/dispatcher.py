from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from jobs.dispatcher import StopSignal
from jobs.wiring import dispatcher, janitor
from observability.scraping import scraping_port


class Command(BaseCommand):
    help = "Hand out tickets to workers and take back expired leases, until SIGTERM. Several may run; one acts."

    def handle(self, *args: Any, **options: Any) -> None:
        stop = StopSignal()
        stop.install()
        sweeping = janitor()
        sweeping.start()
        port = scraping_port(settings.TRANSCODER.metrics, fault=str)  # as long as it answers, it goes on
        if port:
            port.start()
        dispatcher().run(stop)
        sweeping.close()
