import logging
import os
import signal
import threading
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connections

from configuration import startup_warnings
from status_grpc.server import THREADS, NotListening
from status_grpc.wiring import status_server

log = logging.getLogger(__name__)


class Command(BaseCommand):
    help = "Serve the status of live streams by gRPC, until SIGTERM."
    requires_system_checks = ()  # they load all URLs with their pages

    def add_arguments(self, parser: CommandParser) -> None:
        config = settings.TRANSCODER.status_grpc
        parser.add_argument("--host", default=config.status_grpc_host, help="address to listen on")
        parser.add_argument(
            "--port", type=int, default=config.status_grpc_port, help="port to listen on; 0: any free one"
        )

    def handle(self, *args: Any, host: str, port: int, **options: Any) -> None:
        for warning in startup_warnings(os.environ):
            log.warning(warning, extra={"event": "setting_without_effect"})
        connections.settings["default"]["OPTIONS"]["pool"] = {"min_size": 0, "max_size": THREADS, "timeout": 5}
        ended = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: ended.set())
        try:
            server = status_server(host=host, port=port)
        except (NotListening, OSError) as error:
            raise CommandError(str(error)) from error
        server.start()
        ended.wait()
        server.close()
