"""Posting one signed document to a receiver."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from events.webhooks.signing import sha256_header, signature_headers
from outbound.answers import Answer
from outbound.posting import OutboundClient

USER_AGENT = "vodmill-webhooks/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Receiver:
    """An endpoint as senders need it. `secrets`: the current one first, and the one before while it still signs.

    `sha256_signature`: it expects the header `X-Webhook-Signature`, too.
    """

    url: str
    secrets: tuple[str, ...]
    sha256_signature: bool


def post(
    client: OutboundClient, receiver: Receiver, document: Mapping[str, Any], *, message_id: str, timestamp: int
) -> Answer:
    """Post a document once, signed at `timestamp` (seconds since 1970). Never raises for what the receiver does."""
    body = json.dumps(document, separators=(",", ":")).encode()
    headers = {
        "Content-Type": "application/json",
        "Content-Length": str(len(body)),
        "User-Agent": USER_AGENT,
        **signature_headers(message_id=message_id, timestamp=timestamp, body=body, secret_list=receiver.secrets),
        **(sha256_header(body=body, secret=receiver.secrets[0]) if receiver.sha256_signature else {}),
    }
    return client.post(receiver.url, body, headers)
