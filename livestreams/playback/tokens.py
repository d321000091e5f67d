"""Tokens of private streams: whoever has one may play the stream until it expires. They are not stored."""

from django.core.signing import BadSignature, Signer

_SALT = "livestreams.playback"
SEPARATOR = "~"
"""Stands between the playback id and the token in URLs."""


def playback_token_make(playback_id: str, *, expires_at: int) -> str:
    """Sign a stream's playback id and a time (Unix seconds); fit for a path."""
    expiry = f"{expires_at:x}"
    return f"{expiry}.{_signer().signature(f'{playback_id}-{expiry}')}"


def playback_token_holds(text: str, playback_id: str, *, now: float) -> bool:
    """Tell whether a text is a token of a stream that has not expired."""
    expiry, _, signature = text.partition(".")
    try:
        _signer().unsign(f"{playback_id}-{expiry}.{signature}")
        return now < int(expiry, 16)
    except (BadSignature, ValueError):
        return False


def _signer() -> Signer:
    return Signer(salt=_SALT, sep=".")
