import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from gpu.devices import Reading
from gpu.services import DeviceDescription
from gpu.wiring import inventory


class Command(BaseCommand):
    help = "List this machine's GPUs, with a trial encode of every encoder on each. Needs no worker."
    requires_system_checks = ()  # they load all URLs with their pages

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="print JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        local = inventory()
        local.refresh()
        for trial in list(local.untried()):
            local.attempt(trial)
        found, reasons = local.descriptions(), local.survey.reasons
        if options["json"]:
            devices = [{**asdict(each), "verdicts": list(map(asdict, each.verdicts.values()))} for each in found]
            self.stdout.write(json.dumps({"devices": devices, "reasons": reasons}))
        else:
            self.stdout.write("\n".join((*_lines(found), *reasons)))


def _lines(found: list[DeviceDescription]) -> Iterator[str]:
    yield f"{len(found)} devices" if len(found) != 1 else "1 device"
    for each in found:
        device = each.state.device
        yield f"{device.index}  {device.name}  {device.uuid}  driver {device.driver or 'unknown'}"
        yield f"   {each.state.error or _condition(each.state.reading)}"
        for verdict in each.verdicts.values():
            yield f"   {verdict.encoder}: {'available' if verdict.available else f'not available: {verdict.reason}'}"


def _condition(reading: Reading) -> str:
    """Format a reading; a dash stands for an unknown value."""
    memory = f"{_known(reading.memory_free_mb)} of {_known(reading.memory_total_mb)} MiB free"
    use = f"{_known(reading.utilization_percent)} % used, encoder {_known(reading.encoder_percent)} %"
    return f"{memory}, {use}, {_known(reading.sessions)} sessions, {_known(reading.temperature_c)} C"


def _known(value: int | None) -> str:
    return "-" if value is None else str(value)
