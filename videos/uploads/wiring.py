"""The upload routes of this process, from the settings."""

from collections.abc import Callable
from functools import cache

from django.conf import settings

from api.asgi import App
from api.turns import Turns
from configuration import Config
from execution.ffprobe import Ffprobe
from execution.isolation import NotIsolated, jail_of
from execution.jail import Isolation
from videos.models import Upload, Video
from videos.playback.wiring import store
from videos.uploads.limits import OpenLimits, UploadLimits
from videos.uploads.part_route import PartRoute
from videos.uploads.quick_look import QuickLook
from videos.uploads.route import UploadRoute
from videos.uploads.services import Recorded, upload_complete
from videos.uploads.slots import UploadSlots
from videos.uploads.tus.route import TusOpens, TusRoute


def upload_routes(
    app: App,
    turns: Turns,
    *,
    on_uploaded: Callable[[Video], object],
    tus_opens: TusOpens,
    on_upload_recorded: Recorded,
) -> App:
    """Put the routes that take the bytes of videos in front of an application. They share their slots."""

    def completes(upload: Upload) -> Upload:
        look = quick_look().now
        return upload_complete(
            owner=upload.owner, upload_id=upload.id, store=store(), etags={}, look=look, recorded=on_upload_recorded
        )

    slots = UploadSlots(upload_limits())
    tus = TusRoute(
        app,
        store=store(),
        open_limits=open_limits(),
        turns=turns,
        slots=slots,
        opens=tus_opens,
        completes=completes,
    )
    parts = PartRoute(tus, store=store(), open_limits=open_limits(), turns=turns, slots=slots)
    return UploadRoute(parts, store=store(), turns=turns, slots=slots, on_uploaded=on_uploaded, look=quick_look())


def upload_limits() -> UploadLimits:
    """Return the limits of this process."""
    config = _config()
    return UploadLimits(
        max_bytes=config.upload.max_upload_bytes,
        max_uploads=config.upload.max_concurrent_uploads,
        max_owner_uploads=config.owner.max_owner_uploads,
        parallel_parts=config.storage.parallel_parts,
        https_only=config.site.https,
    )


def open_limits() -> OpenLimits:
    """Return the limits of uploads in parts."""
    config = _config()
    return OpenLimits(
        max_bytes=config.upload.max_upload_bytes,
        max_open=config.owner.max_owner_open_uploads,
        expiry_seconds=config.janitor.abandoned_upload_seconds,
    )


@cache
def quick_look() -> QuickLook:
    """Return what looks at the headers of files in this process."""
    config = _config()
    return QuickLook(store(), lambda: jailed_ffprobe(config), max_tracks=config.limits.max_streams)


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
