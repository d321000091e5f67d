from urllib.parse import quote
from uuid import UUID

import pytest

from videos.playback.tokens import PlaybackToken, token_make, token_read

VIDEO = UUID("6f1c1bd8-5d0e-4bb6-9c55-7f3a2d3c0a11")
EXPIRES = 1_800_000_000


def test_a_token_names_its_video_until_it_expires() -> None:
    token = token_read(token_make(VIDEO, expires_at=EXPIRES))
    assert token == PlaybackToken(VIDEO, EXPIRES, epoch=0)
    assert not token.expired(EXPIRES - 1)
    assert token.expired(EXPIRES)


def test_a_token_carries_the_epoch_of_its_video() -> None:
    assert token_read(token_make(VIDEO, expires_at=EXPIRES, epoch=300)) == PlaybackToken(VIDEO, EXPIRES, epoch=300)


def test_before_a_revocation_tokens_are_those_of_earlier_versions(settings: object) -> None:
    """So that both versions read those of each other while servers are upgraded one by one."""
    settings.SECRET_KEY = "k" * 50  # type: ignore[attr-defined]
    earlier = "6f1c1bd85d0e4bb69c557f3a2d3c0a11-6b49d200.-mMEmklvAGarH-zeUxgUUrReX1NOp6L1E4CfRrW9Pvg"
    assert token_make(VIDEO, expires_at=EXPIRES) == earlier
    assert token_read(earlier) == PlaybackToken(VIDEO, EXPIRES, epoch=0)


@pytest.mark.parametrize("epoch", [0, 2**31 - 1])
def test_a_token_fits_in_a_path(epoch: int) -> None:
    token = token_make(VIDEO, expires_at=EXPIRES, epoch=epoch)
    assert quote(token, safe="") == token
    assert len(token) < 100


def test_expiry_and_epoch_are_signed() -> None:
    token = token_make(VIDEO, expires_at=EXPIRES, epoch=1)
    facts, _, signature = token.partition(".")
    assert token_read(token)
    for forged in (facts.replace(f"{EXPIRES:x}", f"{EXPIRES + 1:x}"), facts.removesuffix("-1"), f"{facts[:-1]}2"):
        assert token_read(f"{forged}.{signature}") is None


@pytest.mark.parametrize("forged", ["", ".", "a", "a.b", f"{VIDEO.hex}-ffffffff.x", f"{VIDEO.hex}-ffffffff", "\0.\0"])
def test_what_we_did_not_sign_is_no_token(forged: str) -> None:
    assert token_read(forged) is None


def test_another_key_signs_other_tokens(settings: object) -> None:
    token = token_make(VIDEO, expires_at=EXPIRES)
    settings.SECRET_KEY = "another" * 10  # type: ignore[attr-defined]
    assert token_read(token) is None
