"""Builds what this package reads from the settings. Nothing else here reads them."""

from dataclasses import dataclass

from django.conf import settings
from django.http import HttpRequest
from django.urls import reverse

from configuration import Config
from events.types import EVENT_TYPES


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadOptions:
    """Facts that the uploader in the browser needs."""

    protocol: str
    """`parts`: the browser can reach the store, and sends parts to presigned URLs. `tus`: it cannot."""
    url: str
    """Path of the list of uploads."""
    max_bytes: int


def upload_options() -> UploadOptions:
    config: Config = settings.TRANSCODER
    is_reachable = config.storage.storage == "s3" and config.playback.playback_delivery == "redirect"
    return UploadOptions(
        protocol="parts" if is_reachable else "tus",
        url=reverse("upload-list"),
        max_bytes=config.upload.max_upload_bytes,
    )


def page_context(_request: HttpRequest) -> dict[str, object]:
    """Context of the templates: the types of events that pages listen to. A hook of Django."""
    return {"event_types": " ".join(EVENT_TYPES)}
