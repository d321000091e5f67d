"""API keys as text: `vm_PREFIX_SECRET`, both in hexadecimal. The prefix finds the row, the whole is what is proven.

The secret is 256 bits from the system's random source, so one SHA-256 is the right hash: there is nothing to guess that
a slow hash would protect, and every request pays for it.
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
    """A key that was just made. Its text is shown once and kept nowhere."""

    prefix: str
    text: str

    @property
    def digest(self) -> str:
        """What is kept of it."""
        return key_digest(self.text)


def key_make(prefix: str | None = None) -> NewKey:
    """Make a key, or the next secret of the one with this prefix."""
    prefix = prefix or secrets.token_hex(_PREFIX_BYTES)
    return NewKey(prefix, f"vm_{prefix}_{secrets.token_hex(_SECRET_BYTES)}")


def key_prefix(text: str) -> str | None:
    """The prefix of what looks like a key; None for everything else."""
    match = _SHAPE.fullmatch(text)
    return match[1] if match else None


def key_digest(text: str) -> str:
    """SHA-256 in hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()
