"""Images that jobs draw on their outputs."""

from uuid import uuid4

from django.db import models
from django.db.models.functions import Now

from access.models import Owner
from transcoding.probing.images import ImageFormat
from videos.models.constraints import one_of


class WatermarkImage(models.Model):
    """A small image of an owner, which jobs draw on their outputs.

    It is kept in the database: what is deleted while jobs use it stays until they have ended, and needs no other care.
    """

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    owner = models.ForeignKey(Owner, on_delete=models.PROTECT, related_name="+", db_index=False)
    format = models.TextField()
    width = models.PositiveIntegerField()
    height = models.PositiveIntegerField()
    sha256 = models.TextField()
    data = models.BinaryField()
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    deleted_at = models.DateTimeField(null=True)
    """The moment at which the owner deleted it. The janitor removes it when no job uses it any more."""

    class Meta:
        indexes = [models.Index(fields=["owner", "-created_at", "-id"], name="videos_watermark_newest")]
        constraints = [models.CheckConstraint(name="videos_watermark_format", condition=one_of("format", ImageFormat))]

    def __str__(self) -> str:
        return f"{self.format}, {self.width}x{self.height}"
