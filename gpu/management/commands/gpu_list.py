import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from gpu.devices import Reading
from gpu.services import Described
from gpu.wiring import inventory


class Command(BaseCommand):
    help = "Ask this machine for its GPUs and try every encoder on each of them, here and now; no worker is needed."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="for programs")

    def handle(self, *args: Any, **options: Any) -> None:
        here = inventory()
        here.refresh()
        for trial in list(here.untried()):
            here.attempt(trial)
        found, reasons = here.described(), here.survey.reasons
        if options["json"]:
            described = [{**asdict(each), "verdicts": list(map(asdict, each.verdicts.values()))} for each in found]
            self.stdout.write(json.dumps({"devices": described, "reasons": reasons}))
        else:
            self.stdout.write("\n".join((*_lines(found), *reasons)))


def _lines(found: list[Described]) -> Iterator[str]:
    yield f"{len(found)} devices" if len(found) != 1 else "1 device"
    for each in found:
        device = each.seen.device
        yield f"{device.index}  {device.name}  {device.uuid}  driver {device.driver or 'unknown'}"
        yield f"   {each.seen.error or _condition(each.seen.reading)}"
        for verdict in each.verdicts.values():
            yield f"   {verdict.encoder}: {'available' if verdict.available else f'not available: {verdict.reason}'}"


def _condition(reading: Reading) -> str:
    """What the device says of itself; a dash for what it does not."""
    memory = f"{_known(reading.memory_free_mb)} of {_known(reading.memory_total_mb)} MiB free"
    use = f"{_known(reading.utilization_percent)} % used, encoder {_known(reading.encoder_percent)} %"
    return f"{memory}, {use}, {_known(reading.sessions)} sessions, {_known(reading.temperature_c)} C"


def _known(value: int | None) -> str:
    return "-" if value is None else str(value)
