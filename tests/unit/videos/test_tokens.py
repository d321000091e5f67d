from urllib.parse import quote
from uuid import uuid4

import pytest

from videos.playback.tokens import token_make, token_read

VIDEO = uuid4()
EXPIRES = 1_800_000_000


def test_a_token_names_its_video_until_it_expires() -> None:
    token = token_make(VIDEO, expires_at=EXPIRES)
    assert token_read(token, now=EXPIRES - 1) == VIDEO
    assert token_read(token, now=EXPIRES) is None


def test_a_token_fits_in_a_path() -> None:
    token = token_make(VIDEO, expires_at=EXPIRES)
    assert quote(token, safe="") == token
    assert len(token) < 100


def test_the_expiry_is_signed() -> None:
    video_and_expiry, _, signature = token_make(VIDEO, expires_at=EXPIRES).partition(".")
    later = video_and_expiry.replace(f"{EXPIRES:x}", f"{EXPIRES + 1:x}")
    assert token_read(f"{later}.{signature}", now=0) is None


@pytest.mark.parametrize("forged", ["", ".", "a", "a.b", f"{VIDEO.hex}-ffffffff.x", f"{VIDEO.hex}-ffffffff", "\0.\0"])
def test_what_we_did_not_sign_is_no_token(forged: str) -> None:
    assert token_read(forged, now=0) is None


def test_another_key_signs_other_tokens(settings: object) -> None:
    token = token_make(VIDEO, expires_at=EXPIRES)
    settings.SECRET_KEY = "another" * 10  # type: ignore[attr-defined]
    assert token_read(token, now=0) is None
