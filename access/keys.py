"""API keys as text: `vm_PREFIX_SECRET`, both in hexadecimal. The prefix finds the row, the digest of the text verifies.

The secret has 256 random bits, so a single SHA-256 is enough: a slow hash only protects guessable secrets, and every
request would pay for it.
"""

import hashlib
import re
import secrets
from dataclasses import dataclass

_PREFIX_BYTES = 6
_SECRET_BYTES = 32
_SHAPE = re.compile(r"vm_([0-9a-f]{12})_[0-9a-f]{64}", re.ASCII)


@dataclass(frozen=True, slots=True)
class NewKey:
    """A new key or secret. Its text is shown once and not stored."""

    prefix: str
    text: str

    @property
    def digest(self) -> str:
        """The digest to store."""
        return key_digest(self.text)


def key_generate(prefix: str | None = None) -> NewKey:
    """Generate a key, or the next secret of the key with this prefix."""
    prefix = prefix or secrets.token_hex(_PREFIX_BYTES)
    return NewKey(prefix, f"vm_{prefix}_{secrets.token_hex(_SECRET_BYTES)}")


def key_prefix(text: str) -> str | None:
    """Return the prefix, or None when the text does not have the form of a key."""
    match = _SHAPE.fullmatch(text)
    return match[1] if match else None


def key_digest(text: str) -> str:
    """Return the SHA-256 of the whole text in hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()
