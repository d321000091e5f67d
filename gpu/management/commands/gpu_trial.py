from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from gpu.services import device_order_trials


class Command(BaseCommand):
    help = "Have running GPU workers try every encoder on their devices again, as after a change to a driver."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("node", nargs="?", default="", help="one worker node only")

    def handle(self, *args: Any, **options: Any) -> None:
        devices = device_order_trials(node=options["node"])
        if not devices:
            raise CommandError(
                "no worker node" + (f" {options['node']!r}" if options["node"] else "") + " has a device"
            )
        self.stdout.write(f"ordered on {devices} device{'s' if devices != 1 else ''}")
