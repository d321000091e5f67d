from functools import partial
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from configuration import Config
from jobs.dispatcher import Dispatcher, StopSignal
from jobs.tickets import TicketSender, ticket_send


class Command(BaseCommand):
    help = "Hand out tickets to workers and take back expired leases, until SIGTERM. Several may run; one acts."

    def handle(self, *args: Any, **options: Any) -> None:
        config: Config = settings.TRANSCODER
        stop = StopSignal()
        stop.install()
        sender = TicketSender(partial(ticket_send, expires_seconds=config.lease.ticket_expires_seconds))
        sender.start()
        Dispatcher(lease=config.lease, retry=config.retry, sender=sender).run(stop)
