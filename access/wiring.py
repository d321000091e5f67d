"""Builds what this package reads from the settings. Nothing else here reads them."""

from django.conf import settings

from access.parties import is_owner, party_of
from api.asgi import App
from api.refusals import RepeatedRefusals
from api.turns import Turns
from configuration import Config

_ADDRESS_SHARE = 4
"""Divisor of the threads for the requests of one address without a known key, such as players."""


def party_turns(*, threads: int) -> Turns:
    """Build the turns of owners and addresses at so many threads."""
    limit = max_owner_requests()
    return Turns(
        party_of,
        total=threads,
        limit_of=lambda party: limit if is_owner(party) else max(1, threads // _ADDRESS_SHARE),
    )


def repeated_refusals(app: App) -> RepeatedRefusals:
    """Put the memory of refusals in front of an application."""
    return RepeatedRefusals(app, party_of=party_of, is_owner=is_owner)


def max_owner_keys() -> int:
    return _config().owner.max_owner_keys


def max_owner_requests() -> int:
    return _config().owner.max_owner_requests


def session_cookie_name() -> str:
    name: str = settings.SESSION_COOKIE_NAME
    return name


def default_limits() -> dict[str, int]:
    """Return the limits of owners that have none of their own, by the names of their columns; 0: there is none."""
    owner = _config().owner
    return {
        "max_stored_bytes": owner.max_owner_stored_bytes,
        "max_source_minutes": owner.max_owner_source_minutes,
        "source_retention_days": owner.source_retention_days,
        "output_retention_days": owner.output_retention_days,
    }


def requests_per_minute(rate_class: str) -> int:
    """Return the rate limit of a class of requests; 0: there is none."""
    per_minute: int = getattr(_config().rate, f"rate_{rate_class}_per_minute")
    return per_minute


def _config() -> Config:
    config: Config = settings.TRANSCODER
    return config
