"""Builds the playback route from the settings."""

from access.rates import RateClass, rate_headers
from access.wiring import requests_per_minute
from api.asgi import App
from api.problems import throttled
from coordination.rates import Rate, RateLimiter
from coordination.wiring import live_feed, viewers
from livestreams.playback.answers import Cors
from livestreams.playback.channel import Sources
from livestreams.playback.channels import Channels
from livestreams.playback.media import LiveMedia
from livestreams.playback.route import CheckRate, LiveStreams
from livestreams.playback.watching import Watching
from observability import metrics
from videos.playback import wiring as playback


def live_streams(app: App) -> LiveStreams:
    """Put the playback of live streams in front of an application."""
    feed = live_feed()
    return LiveStreams(
        app,
        Channels(Sources(parts=feed.parts), feed.announcements),
        LiveMedia(playback.delivery, feed.part),
        Watching(viewers()),
        cors=Cors(playback.origins()),
        check_rate=_play_rate(RateLimiter(None, local_divisor=1)),
    )


def _play_rate(limiter: RateLimiter) -> CheckRate:
    """Build the limit of requests that are not answered from memory, by the network of their client.

    Every process counts for itself: a look into Redis would cost more than what it limits.
    """

    def check(network: str) -> None:
        per_minute = requests_per_minute(RateClass.PLAY)
        decision = limiter.take(network, Rate(per_minute)) if per_minute else None
        if decision and not decision.allowed:
            metrics.RATE_LIMITED.add(rate=RateClass.PLAY.value, by="address")
            raise throttled(decision.retry_after_seconds, rate_headers(decision))

    return check
