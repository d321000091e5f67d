"""Keys of publishers and tokens of readers."""

from __future__ import annotations

from uuid import uuid4

from livestreams.keys import (
    ingest_name_generate,
    playback_id_generate,
    secret_digest,
    secret_generate,
    secret_hint,
    secret_matches,
    stream_key,
)
from livestreams.tokens import token_holds, token_make

SECRET = "between-us-and-them"


def test_a_secret_matches_its_digest_and_no_other() -> None:
    secret = secret_generate()
    assert secret_matches(secret, secret_digest(secret))
    assert not secret_matches("", secret_digest(secret))
    assert not secret_matches(secret_generate(), secret_digest(secret))
    assert secret_hint(secret) == secret[-4:]


def test_a_stream_key_has_the_secret_as_an_argument_of_the_name() -> None:
    assert stream_key("9a3f", "s3cr3t") == "9a3f?key=s3cr3t"
    assert len({ingest_name_generate() for _ in range(100)} | {playback_id_generate() for _ in range(100)}) == 200


def test_a_token_is_good_for_its_broadcast_until_it_expires() -> None:
    broadcast = uuid4()
    token = token_make(SECRET, broadcast, expires_at=1_000)
    assert token_holds(SECRET, token, broadcast, now=999.9)
    assert not token_holds(SECRET, token, broadcast, now=1_000)
    assert not token_holds(SECRET, token, uuid4(), now=0)
    assert not token_holds("another", token, broadcast, now=0)


def test_a_token_cannot_be_made_to_last_longer() -> None:
    broadcast = uuid4()
    _, _, signature = token_make(SECRET, broadcast, expires_at=1_000).partition(".")
    for text in (f"ffffffff.{signature}", signature, "", ".", "ü.ü", "1.ü", "-1.x", "1" * 10_000):
        assert not token_holds(SECRET, text, broadcast, now=0)
