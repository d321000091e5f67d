from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from storage.errors import StorageError
from storage.wiring import store_from


class Command(BaseCommand):
    help = "Make the store ready for use: a private bucket whose objects players of any origin may read when signed."
    requires_system_checks = ()  # they load all URLs with their pages

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            store_from(settings.TRANSCODER.storage).prepare()
        except StorageError as error:
            raise CommandError(str(error)) from error
