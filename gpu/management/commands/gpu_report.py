import signal
from threading import Event
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from gpu.wiring import reporter


class Command(BaseCommand):
    help = "Report this machine's GPUs for a worker node, until SIGTERM. GPU workers start this process themselves."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("node", help="the worker node's name")

    def handle(self, *args: Any, **options: Any) -> None:
        stop = Event()
        for each in (signal.SIGTERM, signal.SIGINT):
            signal.signal(each, lambda *_: stop.set())
        reporter(options["node"]).run(stop)
