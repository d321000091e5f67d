from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from gpu.services import device_request_trials


class Command(BaseCommand):
    help = "Request new trial encodes of every encoder on the devices of running GPU workers, as after a driver update."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("node", nargs="?", default="", help="only this worker node")

    def handle(self, *args: Any, **options: Any) -> None:
        devices = device_request_trials(node=options["node"])
        if not devices:
            raise CommandError(
                "no worker node" + (f" {options['node']!r}" if options["node"] else "") + " has a device"
            )
        self.stdout.write(f"requested on {devices} device{'s' if devices != 1 else ''}")
