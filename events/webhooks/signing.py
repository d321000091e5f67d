"""Signatures of the Standard Webhooks specification (version 1, symmetric), and an older form beside them."""

import base64
import hmac
import secrets
from collections.abc import Sequence
from hashlib import sha256

PREFIX = "whsec_"
SECRET_BYTES = 32


def secret_make() -> str:
    """Make a secret as receivers configure it."""
    return PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def signature_headers(*, message_id: str, timestamp: int, body: bytes, secret_list: Sequence[str]) -> dict[str, str]:
    """Headers that prove to a receiver who sent a body, and when (seconds since 1970); one signature per secret."""
    signed = f"{message_id}.{timestamp}.".encode() + body
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(f"v1,{_sign(secret, signed)}" for secret in secret_list),
    }


def sha256_header(*, body: bytes, secret: str) -> dict[str, str]:
    """Header of receivers that expect `sha256=` and the HMAC-SHA256 of the body, with the secret's text as the key.

    It has no time and one signature only: it cannot tell a repeated request, nor accept two secrets.
    """
    return {"X-Webhook-Signature": f"sha256={hmac.new(secret.encode(), body, sha256).hexdigest()}"}


def _sign(secret: str, signed: bytes) -> str:
    key = base64.b64decode(secret.removeprefix(PREFIX))
    return base64.b64encode(hmac.new(key, signed, sha256).digest()).decode()
