import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from operations.workload import Workload, workload


class Command(BaseCommand):
    help = "Show what runs where: nodes and their slots, running steps, and what waits in each queue."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="for programs")

    def handle(self, *args: Any, **options: Any) -> None:
        load = workload()
        text = json.dumps(asdict(load)) if options["json"] else "\n".join(_tables(load))
        self.stdout.write(text)


def _tables(load: Workload) -> Iterator[str]:
    yield from _table(
        ("NODE", "STATE", "QUEUES", "BUSY", "ISOLATION", "SEEN"),
        (
            (
                node.name,
                node.state,
                ",".join(node.queues),
                f"{node.busy}/{node.slots}",
                node.isolation,
                f"{node.silent_seconds:.0f}s ago",
            )
            for node in load.nodes
        ),
    )
    yield ""
    yield from _table(
        ("NODE", "PID", "JOB OR VIDEO", "STEP", "TRY", "PRIO", "AGE", "LEASE", "DONE", "DEVICE"),
        (
            (
                step.node,
                step.pid,
                step.job or step.video,
                f"{step.kind} {step.ordinal}",
                step.attempt,
                "" if step.priority is None else step.priority,
                f"{step.age_seconds:.0f}s",
                f"{step.lease_seconds:.0f}s",
                f"{step.units_done}/{'?' if step.units_total is None else step.units_total}",
                f"{step.device} ({step.sessions})" if step.device else "",
            )
            for step in load.running
        ),
    )
    yield ""
    yield from _table(
        ("QUEUE", "READY", "DELAYED", "LONGEST WAIT"),
        ((lane.queue, lane.ready, lane.delayed, f"{lane.longest_wait_seconds:.0f}s") for lane in load.backlog),
    )


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[str]:
    """Columns as wide as their widest cell."""
    cells = [head, *([str(cell) for cell in row] for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(head))]
    for row in cells:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
