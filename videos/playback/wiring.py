"""The store and the delivery of this process, from the settings."""

from functools import cache

from django.conf import settings

from configuration import Config
from storage.protocol import ObjectStore
from storage.wiring import store_from
from videos.playback.delivery import Delivery


@cache
def store() -> ObjectStore:
    return store_from(_config().storage)


@cache
def delivery() -> Delivery:
    config = _config()
    return Delivery(
        store=store(),
        redirects=config.playback.playback_delivery == "redirect",
        presign_seconds=config.storage.presign_seconds,
        public_base=config.playback.playback_public_base.rstrip("/"),
    )


def origins() -> frozenset[str]:
    """Return the origins whose pages may play videos. Empty: any."""
    return frozenset(_config().playback.playback_origins)


def token_seconds() -> int:
    """Return the least time for which a playback URL is valid, in seconds."""
    return _config().playback.playback_token_seconds


def max_texts() -> int:
    """Return the largest number of texts of one video."""
    return _config().limits.max_texts


def _config() -> Config:
    config: Config = settings.TRANSCODER
    return config
