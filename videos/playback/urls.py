"""Signed playback URLs of a generation, as documents show them."""

import math
import time
from dataclasses import dataclass
from datetime import UTC, datetime

from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html

from api.wiring import absolute_url
from videos.models import Asset, Generation, Text, Video
from videos.playback import wiring
from videos.playback.tokens import token_make


@dataclass(frozen=True, slots=True)
class PlaybackUrls:
    """Absolute URLs of one generation. They work without credentials until they expire.

    Without a request they are paths, unless there is a configured public URL.
    """

    request: HttpRequest | None
    generation: int
    token: str
    expires_at: datetime

    def hls(self) -> str:
        """URL of the HLS master playlist."""
        return self._absolute("play-master")

    def dash(self) -> str:
        """URL of the DASH manifest."""
        return self._absolute("play-dash")

    def playlist(self, rendition: str) -> str:
        """URL of a rendition's own HLS playlist."""
        return self._absolute("play-index", rendition)

    def asset(self, asset: Asset) -> str:
        """URL of an asset."""
        return self._absolute(f"play-{asset.kind}", asset.name)

    def text(self, text: Text) -> str:
        """URL of a whole text."""
        return self._absolute("play-text", text.name)

    def _absolute(self, view: str, *more: str) -> str:
        return absolute_url(self.request, reverse(view, args=[self.token, self.generation, *more]))


@dataclass(frozen=True, slots=True)
class ThumbnailUrls:
    """Absolute URLs of one set of images of a video. They work without credentials until they expire."""

    request: HttpRequest | None
    images: str
    token: str
    expires_at: datetime

    def image(self, name: str) -> str:
        """URL of one of the images, or of their WebVTT. What is there never changes."""
        return absolute_url(self.request, reverse("play-thumbnails", args=[self.token, self.images, name]))

    def poster(self) -> str:
        """URL of the poster that the video has at the moment."""
        return absolute_url(self.request, reverse("play-poster", args=[self.token]))


def thumbnail_urls(request: HttpRequest | None, video: Video, images: str) -> ThumbnailUrls:
    """Sign the URLs of a set of images of this video, as `video_token` says."""
    token, expires_at = video_token(video)
    return ThumbnailUrls(request, images, token, expires_at)


def playback_urls(request: HttpRequest | None, video: Video, generation: Generation) -> PlaybackUrls:
    """Sign the URLs of a generation of this video, as `video_token` says."""
    token, expires_at = video_token(video)
    return PlaybackUrls(request, generation.number, token, expires_at)


def video_token(video: Video, *, seconds: int | None = None) -> tuple[str, datetime]:
    """Sign a token of a video, valid for `seconds` at least. Return it, and when it expires.

    All requests for the same time get the same token for an eighth of that time, so that caches of browsers and of
    content delivery networks know the URLs. It is valid for up to an eighth longer.
    """
    seconds = seconds or _token_seconds(video)
    shared = -(-seconds // _SHARES)
    expires_at = -(-(int(time.time()) + seconds) // shared) * shared
    token = token_make(video.id, expires_at=expires_at, epoch=video.playback_epoch)
    return token, datetime.fromtimestamp(expires_at, UTC)


def watch_url(request: HttpRequest | None, token: str) -> str:
    """URL of the page on which everybody who has it watches a video."""
    return absolute_url(request, reverse("webui:watch", args=[token]))


def embed_html(url: str) -> str:
    """Render the HTML by which other pages show the player of a `watch_url`."""
    style = "width: 100%; aspect-ratio: 16 / 9; border: 0"
    return format_html('<iframe src="{}?embed=1" title="Video" style="{}" allowfullscreen></iframe>', url, style)


_SHARES = 8


def _token_seconds(video: Video) -> int:
    """Compute how long a URL is valid: at least as long as it takes to watch the video with a long pause."""
    duration = (video.media or {}).get("duration") or 0
    return max(wiring.token_seconds(), 2 * math.ceil(duration))
