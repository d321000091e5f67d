"""Scopes: permissions of keys. Writing does not include reading; `admin` includes all scopes."""

from enum import StrEnum


class Scope(StrEnum):
    VIDEOS_READ = "videos:read"
    VIDEOS_WRITE = "videos:write"
    JOBS_READ = "jobs:read"
    JOBS_WRITE = "jobs:write"
    JOBS_URGENT = "jobs:urgent"
    """Priorities above the ceiling, beside `jobs:write`."""
    LIVE_WATCH = "live:watch"
    """Open live streams at the relay."""
    LIVE_READ = "live:read"
    LIVE_WRITE = "live:write"
    """End live sessions."""
    LIVESTREAMS_READ = "livestreams:read"
    LIVESTREAMS_WRITE = "livestreams:write"
    """Create, change, stop and delete live streams; see their new stream keys."""
    SYSTEM_READ = "system:read"
    ADMIN = "admin"


ANY_SCOPE = ""
"""In place of a scope: every working key may."""
SCOPES = tuple(scope.value for scope in Scope)


def allows(granted: frozenset[str], required: Scope) -> bool:
    """Return True if the granted scopes include the required one. Unknown names grant nothing."""
    return required in granted or Scope.ADMIN in granted
