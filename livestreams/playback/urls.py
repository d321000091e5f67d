"""Playback URLs of live streams, as documents show them."""

import time
from dataclasses import dataclass
from datetime import UTC, datetime

from django.http import HttpRequest

from api.wiring import absolute_url
from livestreams.models import Livestream
from livestreams.playback.tokens import SEPARATOR, playback_token_make
from videos.playback.wiring import token_seconds

PREFIX = "/streams/"
MASTER, MPD = "master.m3u8", "dash/manifest.mpd"
_SHARES = 8


@dataclass(frozen=True, slots=True)
class StreamUrls:
    """Absolute URLs of a live stream. They are the same for each of its broadcasts."""

    hls: str
    dash: str
    expires_at: datetime | None
    """None: they do not expire."""


def stream_urls(request: HttpRequest | None, livestream: Livestream) -> StreamUrls:
    """Build the URLs of a live stream, with a token where it is private.

    All requests for an eighth of a token's time get the same one, so that caches know the URLs.
    """
    name, expires_at = livestream.playback_id, None
    if livestream.private:
        seconds = token_seconds()
        shared = -(-seconds // _SHARES)
        expiry = -(-(int(time.time()) + seconds) // shared) * shared
        name += f"{SEPARATOR}{playback_token_make(livestream.playback_id, expires_at=expiry)}"
        expires_at = datetime.fromtimestamp(expiry, UTC)
    hls, dash = (absolute_url(request, f"{PREFIX}{name}/{file}") for file in (MASTER, MPD))
    return StreamUrls(hls, dash, expires_at)
