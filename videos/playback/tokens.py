"""Playback tokens: whoever has one may play one video until it expires or is revoked. Tokens are not stored.

A video counts its revocations, and a token carries the number at its time. Before the first one it carries none, as the
tokens of all earlier versions.
"""

from dataclasses import dataclass
from uuid import UUID

from django.core.signing import BadSignature, Signer

_SALT = "videos.playback.views"


@dataclass(frozen=True, slots=True)
class PlaybackToken:
    """A token that we signed. It may have expired or been revoked."""

    video_id: UUID
    expires_at: int
    """Unix seconds."""
    epoch: int
    """Number of revocations of the video at the time of the token."""

    def expired(self, now: float) -> bool:
        """Tell whether the token is of no use any more at a time in Unix seconds."""
        return now >= self.expires_at


def token_make(video_id: UUID, *, expires_at: int, epoch: int = 0) -> str:
    """Sign a video's id, a time (Unix seconds) and an epoch; fit for a path."""
    return _signer().sign(f"{video_id.hex}-{expires_at:x}" + (f"-{epoch:x}" if epoch else ""))


def token_read(text: str) -> PlaybackToken | None:
    """Return the token, or None for one that is not ours."""
    try:
        video, expires_at, *epoch = _signer().unsign(text).split("-")
    except BadSignature:
        return None
    return PlaybackToken(UUID(video), int(expires_at, 16), int(epoch[0], 16) if epoch else 0)


def _signer() -> Signer:
    return Signer(salt=_SALT, sep=".")
