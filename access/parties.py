"""Parties of requests: the owner of a key that worked a while ago, or the network address.

They decide about turns and repeated refusals only, never about rights: those are checked with every request.
"""

import threading
from collections import OrderedDict
from uuid import UUID

from access.keys import key_digest
from api.addresses import client_network
from api.asgi import Scope, header

_MAX_KNOWN = 10_000
_OWNER = "owner:"


class KnownKeys:
    """Owners of keys that have worked, by the digests of their texts. Threads may share it."""

    def __init__(self, max_known: int = _MAX_KNOWN) -> None:
        self._max_known = max_known
        self._owners: OrderedDict[str, UUID] = OrderedDict()
        self._lock = threading.Lock()

    def remember(self, text: str, owner_id: UUID) -> None:
        digest = key_digest(text)
        with self._lock:
            self._owners[digest] = owner_id
            self._owners.move_to_end(digest)
            if len(self._owners) > self._max_known:
                self._owners.popitem(last=False)

    def owner_of(self, text: str) -> UUID | None:
        return self._owners.get(key_digest(text))


known_keys = KnownKeys()


def known_owner(scope: Scope) -> UUID | None:
    """Return the owner of the key of a request, if that worked a while ago."""
    text = _presented_text(scope)
    return known_keys.owner_of(text) if text else None


def party_of(scope: Scope) -> str:
    """Name the party of a request."""
    owner = known_owner(scope)
    if owner:
        return f"{_OWNER}{owner}"
    host, _ = scope.get("client") or ("", 0)
    return f"address:{client_network(host)}"


def is_owner(party: str) -> bool:
    return party.startswith(_OWNER)


def _presented_text(scope: Scope) -> str | None:
    scheme, _, credentials = (header(scope, b"authorization") or "").partition(" ")
    return credentials.strip() if scheme.lower() == "bearer" else header(scope, b"x-api-key")
