from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from events.webhooks.signing import secret_make, signature_headers

BODY = b'{"type":"job.completed"}'


def test_an_independent_library_accepts_the_signature() -> None:
    secret = secret_make()
    headers = signature_headers(message_id="msg_1", timestamp=int(time.time()), body=BODY, secret_list=[secret])
    assert Webhook(secret).verify(BODY, headers) == {"type": "job.completed"}


def test_while_a_secret_changes_both_verify() -> None:
    new, old = secret_make(), secret_make()
    headers = signature_headers(message_id="msg_1", timestamp=int(time.time()), body=BODY, secret_list=[new, old])
    for secret in (new, old):
        Webhook(secret).verify(BODY, headers)


@pytest.mark.parametrize("changed", ["body", "id", "timestamp"])
def test_nothing_that_is_signed_can_be_changed(changed: str) -> None:
    secret = secret_make()
    now = int(time.time())
    headers = signature_headers(message_id="msg_1", timestamp=now, body=BODY, secret_list=[secret])
    body = BODY + b" " if changed == "body" else BODY
    headers |= {"id": {"webhook-id": "msg_2"}, "timestamp": {"webhook-timestamp": str(now + 1)}}.get(changed, {})
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(body, headers)


def test_a_signature_is_what_the_specification_says() -> None:
    """The example of the specification's reference libraries."""
    headers = signature_headers(
        message_id="msg_p5jXN8AQM9LWM0D4loKWxJek",
        timestamp=1614265330,
        body=b'{"test": 2432232314}',
        secret_list=["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"],
    )
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    signed_at = datetime.fromtimestamp(int(headers["webhook-timestamp"]), UTC)
    assert signed_at == datetime(2021, 2, 25, 15, 2, 10, tzinfo=UTC)
