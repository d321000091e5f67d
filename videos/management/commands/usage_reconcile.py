from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from access.models import Owner
from storage.protocol import ObjectStore
from storage.wiring import store_from
from videos.usage.reconcile import differences, miscounted_generations, store_report, usage_repair
from videos.usage.services import usage_fold


class Command(BaseCommand):
    help = (
        "Compare the counters of usage with the rows that they count and with the listing of the store, and print the"
        " differences of each owner. Exit status 1: there were some."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--owner", help="only this owner, by name")
        parser.add_argument("--repair", action="store_true", help="set the counters right by the rows")
        parser.add_argument("--no-store", action="store_true", help="do not list the objects in the store")

    def handle(self, *args: Any, **options: Any) -> None:
        usage_fold()
        store = None if options["no_store"] else store_from(settings.TRANSCODER.storage)
        found = 0
        for owner in _owners(options["owner"]):
            lines = [*_counters(owner), *(self._objects(owner, store) if store else ())]
            found += len(lines)
            for line in lines:
                self.stdout.write(f"{owner.name}: {line}")
            if options["repair"]:
                usage_repair(owner)
        if found:
            raise CommandError(
                f"{found} differences" + (", of which those of counters are repaired" if options["repair"] else "")
            )
        self.stdout.write("usage is what the rows sum up to")

    def _objects(self, owner: Owner, store: ObjectStore) -> Iterator[str]:
        report = store_report(owner, store)
        self.stdout.write(
            f"{owner.name}: {report.counted_bytes} bytes of objects counted, {report.listed_bytes} listed"
        )
        for key in report.missing:
            yield f"the store lacks {key}, or has it in another size"


def _owners(name: str | None) -> list[Owner]:
    owners = Owner.objects.order_by("name")
    if name is None:
        return list(owners)
    found = list(owners.filter(name=name))
    if not found:
        raise CommandError(f"there is no owner {name}")
    return found


def _counters(owner: Owner) -> Iterator[str]:
    for generation_id in miscounted_generations(owner):
        yield f"generation {generation_id} has other totals than its rows"
    for each in differences(owner):
        day = f" of {each.day}" if each.day else ""
        yield f"{each.kind}{day}: {each.counted} counted, {each.actual} in the rows"
