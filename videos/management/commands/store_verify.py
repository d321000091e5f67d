from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from storage.wiring import store_from
from videos.stored import missing_objects


class Command(BaseCommand):
    help = "Check that the store has every object that a row names, such as after a restore. Prints those it lacks."
    requires_system_checks = ()  # they load all URLs with their pages

    def handle(self, *args: Any, **options: Any) -> None:
        videos = set()
        for missing in missing_objects(store_from(settings.TRANSCODER.storage)):
            videos.add(missing.video_id)
            self.stdout.write(f"missing: {missing.key}")
        if videos:
            raise CommandError(f"{len(videos)} videos lack objects")
        self.stdout.write("the store has every object that a row names")
