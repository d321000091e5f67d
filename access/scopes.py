"""What a key may do. A scope is exactly what it says: writing does not include reading. `admin` is all of them."""

from enum import StrEnum


class Scope(StrEnum):
    VIDEOS_READ = "videos:read"
    VIDEOS_WRITE = "videos:write"
    JOBS_READ = "jobs:read"
    JOBS_WRITE = "jobs:write"
    SYSTEM_READ = "system:read"
    ADMIN = "admin"


SCOPES = tuple(scope.value for scope in Scope)


def allows(granted: frozenset[str], wanted: Scope) -> bool:
    """Whether these scopes include what is wanted; names that are no longer known grant nothing."""
    return wanted in granted or Scope.ADMIN in granted
