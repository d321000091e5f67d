"""Builds what this package reads from the settings. Nothing else here reads them."""

from django.conf import settings

from configuration import Config


def requests_per_minute(rate_class: str) -> int:
    """Return the rate limit of a class of requests; 0: there is none."""
    config: Config = settings.TRANSCODER
    per_minute: int = getattr(config.rate, f"rate_{rate_class}_per_minute")
    return per_minute
