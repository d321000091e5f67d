"""Tokens by which live workers read a broadcast from its ingest server. They are not stored."""

import hashlib
import hmac
import re
from uuid import UUID

TOKEN_ARGUMENT = "token"  # noqa: S105 - the name of an argument
"""Name of the argument that has the token."""
_SHAPE = re.compile(r"([0-9a-f]{1,16})\.([0-9a-f]{64})", re.ASCII)


def token_make(secret: str, broadcast_id: UUID, *, expires_at: int) -> str:
    """Sign a broadcast's id and a time (Unix seconds). `secret` is that of the ingest servers. Fit for a query."""
    return f"{expires_at:x}.{_signature(secret, broadcast_id, expires_at)}"


def token_holds(secret: str, text: str, broadcast_id: UUID, *, now: float) -> bool:
    """Tell whether a text is a token of a broadcast that has not expired."""
    found = _SHAPE.fullmatch(text)
    if found is None:
        return False
    expires_at, signature = int(found[1], 16), found[2]
    genuine = hmac.compare_digest(signature.encode(), _signature(secret, broadcast_id, expires_at).encode())
    return genuine and now < expires_at


def _signature(secret: str, broadcast_id: UUID, expires_at: int) -> str:
    return hmac.new(secret.encode(), f"read {broadcast_id} {expires_at}".encode(), hashlib.sha256).hexdigest()
