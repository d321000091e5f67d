"""Names and keys of live streams.

Publishers send `NAME?key=SECRET` as their stream key: the name is the stream's at ingest servers, and the key an
argument, so that it is never part of a name by which workers or players reach the stream. The secret is random, so one
SHA-256 of it is enough: a slow hash only protects what can be guessed.
"""

import hashlib
import hmac
import secrets

KEY_ARGUMENT = "key"
"""Name of the argument that has the secret."""
_NAME_BYTES = 8
_PLAYBACK_BYTES = 12
_SECRET_BYTES = 24
_HINT_CHARACTERS = 4


def ingest_name_generate() -> str:
    """Generate the name of a stream at ingest servers."""
    return secrets.token_hex(_NAME_BYTES)


def playback_id_generate() -> str:
    """Generate the name of a stream in playback URLs, which says nothing about the other one."""
    return secrets.token_hex(_PLAYBACK_BYTES)


def secret_generate() -> str:
    return secrets.token_hex(_SECRET_BYTES)


def stream_key(ingest_name: str, secret: str) -> str:
    """Format the stream key that a publisher is given."""
    return f"{ingest_name}?{KEY_ARGUMENT}={secret}"


def secret_digest(secret: str) -> str:
    """Return the digest to store, in hexadecimal."""
    return hashlib.sha256(secret.encode()).hexdigest()


def secret_hint(secret: str) -> str:
    """Return the last characters of a secret."""
    return secret[-_HINT_CHARACTERS:]


def secret_matches(secret: str, digest: str) -> bool:
    """Compare a secret with a stored digest, in the same time whatever they are."""
    return hmac.compare_digest(secret_digest(secret), digest)
