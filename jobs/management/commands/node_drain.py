from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from jobs.leasing.nodes import node_order
from jobs.models import NodeState


class Command(BaseCommand):
    help = (
        "Drain a worker node: it claims no more steps and releases those it runs, uncharged. --undo: claim steps again."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help="the node's name, as work_status shows it")
        parser.add_argument("--undo", action="store_true", help="let the node claim steps again")

    def handle(self, *args: Any, **options: Any) -> None:
        state = NodeState.ACTIVE if options["undo"] else NodeState.DRAINING
        if not node_order(name=options["name"], state=state):
            raise CommandError(f"there is no node {options['name']!r}; work_status lists them")
        self.stdout.write(f"{options['name']} is {state.value}")
