"""Reads of the images of watermarks."""

from uuid import UUID

from django.db.models import QuerySet

from access.models import Owner
from videos.models import WatermarkImage


def watermarks_of(owner: Owner) -> QuerySet[WatermarkImage]:
    """Select the images that the owner can see, without their bytes, unordered."""
    return WatermarkImage.objects.filter(owner=owner, deleted_at=None).defer("data")


def watermark_data(image_id: UUID) -> bytes | None:
    """Return the bytes of an image, of a deleted one, too, while it is there."""
    data = WatermarkImage.objects.filter(id=image_id).values_list("data", flat=True).first()
    return None if data is None else bytes(data)
