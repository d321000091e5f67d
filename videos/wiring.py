"""The objects of a process that serves the API. The only place of this package that reads settings."""

from collections.abc import Callable
from functools import cache

from django.conf import settings

from api.asgi import App
from configuration import Config
from storage.protocol import ObjectStore
from storage.wiring import store_from
from videos.delivery import Delivery
from videos.models import Video
from videos.uploads import UploadLimits, UploadRoute


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
    )


def token_seconds() -> int:
    """How long a playback address works at least."""
    return _config().playback.playback_token_seconds


def upload_route(app: App, *, on_uploaded: Callable[[Video], object]) -> UploadRoute:
    """Put the upload route in front of an application."""
    config = _config()
    limits = UploadLimits(
        max_bytes=config.upload.max_upload_bytes,
        max_uploads=config.upload.max_concurrent_uploads,
        parallel_parts=config.storage.parallel_parts,
        parts_in_memory=config.storage.parallel_parts * 4,
        https_only=config.site.https,
    )
    return UploadRoute(app, store=store(), limits=limits, on_uploaded=on_uploaded)


def _config() -> Config:
    config: Config = settings.TRANSCODER
    return config
