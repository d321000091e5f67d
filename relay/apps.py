from django.apps import AppConfig

from jobs.dispatching.janitor_parts import MORE_PARTS


class RelayConfig(AppConfig):
    """The Django application of live streams over HTTP."""

    name = "relay"

    def ready(self) -> None:
        """Have the janitor look after sessions."""
        from relay.records.upkeep import PARTS  # needs the models

        MORE_PARTS.extend(PARTS)
