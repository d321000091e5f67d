import logging
import os
from typing import Any

import uvicorn
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connections

from api.connections import BoundedHttp
from configuration import startup_warnings
from livestreams.hooks.app import HookApp
from livestreams.wiring import database_pool_size, livestream_config

log = logging.getLogger(__name__)

_GRACE_SECONDS = 5
"""Time that open requests have at the end: a publisher waits for four seconds at most."""


class Command(BaseCommand):
    help = "Answer the hooks of ingest servers, until SIGTERM. Listens where nobody else can reach it."
    requires_system_checks = ()  # they load all URLs with their pages

    def add_arguments(self, parser: CommandParser) -> None:
        config = livestream_config()
        parser.add_argument("--host", default=config.ingest_hooks_host, help="address to listen on")
        parser.add_argument("--port", type=int, default=config.ingest_hooks_port, help="port to listen on; 0: any one")

    def handle(self, *args: Any, host: str, port: int, **options: Any) -> None:
        secret = livestream_config().ingest_secret
        if not secret:
            raise CommandError("TRANSCODER_INGEST_SECRET is required: the hooks answer nobody without it")
        for warning in startup_warnings(os.environ):
            log.warning(warning, extra={"event": "setting_without_effect"})
        # As in the API: more threads than connections.
        pool = {"min_size": 0, "max_size": database_pool_size(), "timeout": 10}
        connections.settings["default"]["OPTIONS"]["pool"] = pool
        log.info("hooks of ingest servers listen", extra={"event": "ingest_hooks_listening", "port": port})
        uvicorn.run(
            HookApp(secret),
            host=host,
            port=port,
            http=BoundedHttp,
            lifespan="off",
            log_config=None,
            access_log=False,  # it would have the keys of publishers, where a server sends them in the query
            proxy_headers=False,
            timeout_graceful_shutdown=_GRACE_SECONDS,
        )
