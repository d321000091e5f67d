import gc
import logging
import os
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser
from django.db import connections

from configuration import startup_warnings
from execution.process import hide_from_children
from relay.http.wiring import relay_server

log = logging.getLogger(__name__)


class Command(BaseCommand):
    help = "Serve live streams over HTTP, until SIGTERM and the end of what runs. A second signal ends all at once."
    requires_system_checks = ()  # they load all URLs with their pages

    def add_arguments(self, parser: CommandParser) -> None:
        live = settings.TRANSCODER.live
        parser.add_argument("--host", default=live.relay_host, help="address to listen on")
        parser.add_argument("--port", type=int, default=live.relay_port, help="port to listen on; 0: any free one")

    def handle(self, *args: Any, host: str, port: int, **options: Any) -> None:
        config = settings.TRANSCODER
        for warning in startup_warnings(os.environ):
            log.warning(warning, extra={"event": "setting_without_effect"})
        hide_from_children()
        # As in the API: more threads than connections.
        pool = {"min_size": 0, "max_size": config.database.database_pool_size, "timeout": 10}
        connections.settings["default"]["OPTIONS"]["pool"] = pool
        server = relay_server(host=host, port=port)
        gc.freeze()  # what is loaded by now stays, so that no collection has to visit it
        server.run()
