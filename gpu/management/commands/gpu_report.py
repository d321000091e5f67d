import signal
from threading import Event
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from gpu.wiring import reporter


class Command(BaseCommand):
    help = "Report this machine's GPUs for a node, until SIGTERM. GPU workers and relays start this process themselves."
    requires_system_checks = ()  # they load all URLs with their pages

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("node", help="the node's name")
        parser.add_argument("--relay", action="store_true", help="the node is a relay and takes no jobs")

    def handle(self, *args: Any, **options: Any) -> None:
        stop = Event()
        for each in (signal.SIGTERM, signal.SIGINT):
            signal.signal(each, lambda *_: stop.set())
        reporter(options["node"], takes_jobs=not options["relay"]).run(stop)
