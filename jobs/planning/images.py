"""The image that the watermark of a request names."""

from dataclasses import replace
from uuid import UUID

from django.db import transaction

from transcoding.errors import ImageUnknown
from transcoding.planning.request import JobRequest
from transcoding.planning.watermarks import MarkImage
from transcoding.probing.images import ImageFormat
from videos.models import WatermarkImage


def with_image(requested: JobRequest, owner_id: UUID, *, new: bool = False) -> JobRequest:
    """Return the request with what is known of the image that it names, if it does.

    `new`: of a job that is being created, in its transaction, or of none; an image must not be deleted then. It cannot
    be until the transaction ends. Raises ImageUnknown.
    """
    named = (requested.watermark or {}).get("image")
    if named is None or requested.watermark is None:
        return requested
    rows = WatermarkImage.objects.filter(owner=owner_id, id=named).defer("data")
    if new:
        rows = rows.filter(deleted_at=None)
        if transaction.get_connection().in_atomic_block:
            rows = rows.select_for_update(no_key=True)
    image = rows.first()
    if image is None:
        raise ImageUnknown("is no image of yours", field="watermark.image")
    known = MarkImage(id=str(image.id), format=ImageFormat(image.format), width=image.width, height=image.height)
    return replace(requested, watermark={**requested.watermark, "image": known})
