"""Playback tokens: whoever has one may play one video until it expires. Nothing is stored."""

from uuid import UUID

from django.core.signing import BadSignature, Signer

_SALT = "videos.playback.views"


def token_make(video_id: UUID, *, expires_at: int) -> str:
    """Sign a video's id and a time (Unix seconds); fit for a path."""
    return _signer().sign(f"{video_id.hex}-{expires_at:x}")


def token_read(token: str, *, now: float) -> UUID | None:
    """Return the id of the token's video; None for a token that is not ours or has expired. `now` in Unix seconds."""
    try:
        video, _, expires_at = _signer().unsign(token).partition("-")
    except BadSignature:
        return None
    return UUID(video) if now < int(expires_at, 16) else None


def _signer() -> Signer:
    return Signer(salt=_SALT, sep=".")
