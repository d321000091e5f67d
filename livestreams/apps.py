from django.apps import AppConfig

from jobs.dispatching.janitor_parts import MORE_PARTS, MORE_WATCHES


class LivestreamsConfig(AppConfig):
    """The Django application of live streams that people publish to us."""

    name = "livestreams"

    def ready(self) -> None:
        """Have the dispatcher and its janitor look after broadcasts."""
        from livestreams.upkeep import PARTS, WATCHES  # needs the models

        MORE_PARTS.extend(PARTS)
        MORE_WATCHES.extend(WATCHES)
