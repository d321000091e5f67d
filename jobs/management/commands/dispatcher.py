from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from events.webhooks.wiring import webhook_sender
from jobs.dispatching.dispatcher import StopSignal
from jobs.wiring import dispatcher, janitor
from observability.scraping import metrics_server


class Command(BaseCommand):
    help = "Hand out tickets, take back leases, clear away and send webhooks, until SIGTERM. Several may run."

    def handle(self, *args: Any, **options: Any) -> None:
        stop = StopSignal()
        stop.install()
        sweeping = janitor()
        telling = webhook_sender()
        for thread in (sweeping, telling):
            thread.start()
        port = metrics_server(settings.TRANSCODER.metrics, fault=str)  # as long as it answers, it goes on
        if port:
            port.start()
        dispatcher().run(stop)
        for thread in (telling, sweeping):
            thread.close()
