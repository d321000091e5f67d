"""The signed addresses at which a generation can be played, as documents show them."""

import math
import time
from dataclasses import dataclass
from datetime import UTC, datetime

from django.http import HttpRequest
from django.urls import reverse

from api.links import absolute
from videos.models import Asset, Generation, Video
from videos.playback import wiring
from videos.playback.tokens import token_make


@dataclass(frozen=True, slots=True)
class PlayAddresses:
    """Absolute addresses of one generation. They work without credentials until they expire."""

    request: HttpRequest
    generation: int
    token: str
    expires_at: datetime

    def hls(self) -> str:
        """Where the HLS master playlist is."""
        return self._absolute("play-master")

    def dash(self) -> str:
        """Where the DASH manifest is."""
        return self._absolute("play-dash")

    def playlist(self, rendition: str) -> str:
        """Where a rendition's own HLS playlist is."""
        return self._absolute("play-index", rendition)

    def asset(self, asset: Asset) -> str:
        """Where an asset is."""
        return self._absolute(f"play-{asset.kind}", asset.name)

    def _absolute(self, view: str, *more: str) -> str:
        return absolute(self.request, reverse(view, args=[self.token, self.generation, *more]))


def play_addresses(request: HttpRequest, video: Video, generation: Generation) -> PlayAddresses:
    """Sign addresses of a generation of this video, from now on."""
    expires_at = int(time.time()) + _token_seconds(video)
    token = token_make(video.id, expires_at=expires_at)
    return PlayAddresses(request, generation.number, token, datetime.fromtimestamp(expires_at, UTC))


def _token_seconds(video: Video) -> int:
    """An address lives at least as long as it takes to watch the video with a long pause."""
    duration = (video.media or {}).get("duration") or 0
    return max(wiring.token_seconds(), 2 * math.ceil(duration))
