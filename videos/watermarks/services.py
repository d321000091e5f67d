"""Writes to the images of watermarks."""

from hashlib import sha256
from uuid import UUID

from django.db import transaction
from django.db.models.functions import Now

from access.models import Owner
from api.problems import Problem
from transcoding.probing.images import image_header
from videos.models import WatermarkImage
from videos.watermarks.selectors import watermarks_of

MAX_BYTES = 1_000_000
MAX_IMAGES = 100
"""Of one owner."""
_MAX_ROWS = 2 * MAX_IMAGES
"""Of one owner, with those that were deleted and are still used."""


@transaction.atomic
def watermark_create(*, owner: Owner, data: bytes) -> WatermarkImage:
    """Store an image. Raises Problem when there are too many, InputRejected when it is none."""
    header = image_header(data)
    Owner.objects.select_for_update(no_key=True).get(id=owner.id)  # two at once would both count the same
    every = WatermarkImage.objects.filter(owner=owner)
    if watermarks_of(owner).count() >= MAX_IMAGES or every.count() >= _MAX_ROWS:
        detail = f"There are {MAX_IMAGES} images already, which is the most. Delete some first."
        raise Problem(status=409, code="too_many_watermarks", detail=detail)
    return WatermarkImage.objects.create(
        owner=owner,
        format=header.format.value,
        width=header.width,
        height=header.height,
        sha256=sha256(data).hexdigest(),
        data=data,
    )


def watermark_delete(*, owner: Owner, image_id: UUID) -> bool:
    """Delete an image: jobs that use it go on. Return False if the owner has none of this id."""
    return bool(watermarks_of(owner).filter(id=image_id).update(deleted_at=Now()))
