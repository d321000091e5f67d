import tempfile
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from storage.copying import objects_copy
from storage.errors import StorageError
from storage.keys import VIDEOS_PREFIX
from storage.local import LocalStore
from storage.wiring import store_from


class Command(BaseCommand):
    help = "Copy the objects of the store to a folder, or back from it. What is there already is not copied again."
    requires_system_checks = ()  # they load all URLs with their pages

    def add_arguments(self, parser: CommandParser) -> None:
        direction = parser.add_mutually_exclusive_group(required=True)
        direction.add_argument("--to", type=Path, help="folder to copy the store's objects to")
        direction.add_argument("--from", type=Path, dest="source", help="folder to copy objects from")

    def handle(self, *args: Any, **options: Any) -> None:
        config = settings.TRANSCODER.storage
        folder: Path = options["to"] or options["source"]
        local, store = LocalStore(folder, part_bytes=config.upload_part_bytes), store_from(config)
        if options["source"] and not (folder / "objects").is_dir():
            raise CommandError(f"{folder} is not a folder of `store_copy --to`")
        local.prepare()
        source, target = (store, local) if options["to"] else (local, store)
        scratch = folder if options["to"] else Path(tempfile.gettempdir())
        try:
            copied = objects_copy(source, target, prefix=VIDEOS_PREFIX, scratch=scratch)
        except StorageError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"copied {copied.objects} objects, {copied.bytes} bytes; {copied.present} were there")
