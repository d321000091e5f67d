from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from configuration import require_secret_key
from events.webhooks.wiring import webhook_sender
from jobs.dispatching.dispatcher import StopSignal
from jobs.reports.event_documents import event_documents
from jobs.wiring import dispatcher, janitor
from observability.scraping import metrics_server


class Command(BaseCommand):
    help = "Send tickets, reclaim leases, remove what is abandoned and send webhooks, until SIGTERM. Several may run."
    requires_system_checks = ()  # they load all URLs with their pages

    def handle(self, *args: Any, **options: Any) -> None:
        require_secret_key(settings.TRANSCODER)  # webhooks carry URLs of playback
        stop = StopSignal()
        stop.install()
        threads = (janitor(), webhook_sender(event_documents))
        for thread in threads:
            thread.start()
        port = metrics_server(settings.TRANSCODER.metrics, fault=str)  # it answers for as long as the process lives
        if port:
            port.start()
        dispatcher().run(stop)
        for thread in reversed(threads):
            thread.close()
