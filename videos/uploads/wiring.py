"""The upload route of this process, from the settings."""

from collections.abc import Callable

from django.conf import settings

from api.asgi import App
from api.turns import Turns
from configuration import Config
from execution.ffprobe import Ffprobe
from execution.isolation import NotIsolated, jail_of
from execution.jail import Isolation
from videos.models import Video
from videos.playback.wiring import store
from videos.uploads.limits import UploadLimits
from videos.uploads.quick_look import QuickLook
from videos.uploads.route import UploadRoute


def upload_route(app: App, turns: Turns, *, on_uploaded: Callable[[Video], object]) -> UploadRoute:
    """Put the upload route in front of an application."""
    config = _config()
    limits = UploadLimits(
        max_bytes=config.upload.max_upload_bytes,
        max_uploads=config.upload.max_concurrent_uploads,
        max_owner_uploads=config.owner.max_owner_uploads,
        parallel_parts=config.storage.parallel_parts,
        parts_in_memory=config.storage.parallel_parts * 4,
        https_only=config.site.https,
    )
    look = QuickLook(store(), lambda: jailed_ffprobe(config), max_tracks=config.limits.max_streams)
    return UploadRoute(app, store=store(), limits=limits, turns=turns, on_uploaded=on_uploaded, look=look)


def jailed_ffprobe(config: Config) -> Ffprobe:
    """Return an ffprobe that sees nothing of this process. Raises NotIsolated where there is no such jail.

    Unlike a worker, this process has all secrets: its container would be no jail for a program beside it.
    """
    if jail_of(config.execution).isolation not in {Isolation.SANDBOX, Isolation.UID}:
        raise NotIsolated("strangers' files are not opened beside the secrets of the API")
    return Ffprobe(config.execution, config.limits)


def _config() -> Config:
    config: Config = settings.TRANSCODER
    return config
