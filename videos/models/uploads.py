"""Uploads in parts, from the request that opens one to the video that it becomes."""

from uuid import uuid4

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from access.models import Owner
from storage.keys import source_key
from videos.models.constraints import one_of
from videos.states import UploadProtocol, UploadState


class Upload(models.Model):
    """A file on its way into the store, as a multipart upload of which the store knows the parts.

    `external_id`, `client_metadata` and `measure_loudness` are of the video that it becomes.
    """

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    owner = models.ForeignKey(Owner, on_delete=models.PROTECT, related_name="+", db_index=False)
    video_id = models.UUIDField(unique=True)
    """Id of the video that it becomes: there is none before the upload is complete."""
    protocol = models.TextField(default=UploadProtocol.PARTS.value)
    state = models.TextField(default=UploadState.OPEN.value)
    filename = models.TextField()
    size_bytes = models.BigIntegerField(null=True)
    """Null only where the client of a tus upload has not said it yet."""
    part_bytes = models.BigIntegerField()
    """Size of every part but the last."""
    multipart_id = models.TextField()
    """Id of the multipart upload in the store. Empty: nothing of it is left there."""
    sha256 = models.TextField(blank=True)
    """Checksum of the whole file that the client promised. Empty: none."""
    external_id = models.TextField(blank=True)
    client_metadata = models.JSONField(default=dict)
    measure_loudness = models.BooleanField(default=False)
    source_retention_days = models.PositiveIntegerField(null=True)
    """Days after which the source of the video is deleted. Null: those of its owner."""
    transcode = models.JSONField(null=True)
    """The job that the client requested for the video, as `jobs` validated it. Null: none."""
    job_id = models.UUIDField(null=True)
    received_bytes = models.BigIntegerField(default=0)
    """Of a tus upload: the bytes that were taken so far."""
    tail_bytes = models.BigIntegerField(default=0)
    """Of a tus upload: the last of them, which are too few for a part and lie in an object of their own."""
    part_etags = ArrayField(models.TextField(), default=list, db_default=[])
    """Of a tus upload: etags of its parts so far, in order. The store may have others, which were not recorded."""
    tail_key = models.TextField(blank=True, default="", db_default="")
    """Key of that object. Empty: there is none."""
    lock_number = models.BigIntegerField(default=0, db_default=0)
    """Of a tus upload: number of the last request that appended to it. It fences what that one writes."""
    locked_until = models.DateTimeField(null=True)
    """Of a tus upload: the moment until which nobody else may append. Null: nobody does."""
    error_code = models.TextField(blank=True)
    error_detail = models.TextField(blank=True)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    expires_at = models.DateTimeField()
    """The moment at which it is aborted unless something arrives before."""
    completed_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [
            models.Index(fields=["owner", "-created_at", "-id"], name="videos_upload_newest"),
            models.Index(fields=["-created_at", "-id"], name="videos_upload_newest_of_all"),
            models.Index(fields=["external_id", "owner"], name="videos_upload_external", condition=~Q(external_id="")),
            models.Index(fields=["owner"], name="videos_upload_open", condition=Q(state=UploadState.OPEN.value)),
            models.Index(
                fields=["expires_at"], name="videos_upload_expires", condition=Q(state=UploadState.OPEN.value)
            ),
            models.Index(fields=["multipart_id"], name="videos_upload_stored", condition=~Q(multipart_id="")),
            models.Index(fields=["completed_at"], name="videos_upload_ended"),
        ]
        constraints = [
            models.CheckConstraint(name="videos_upload_state", condition=one_of("state", UploadState)),
            models.CheckConstraint(name="videos_upload_protocol", condition=one_of("protocol", UploadProtocol)),
            models.CheckConstraint(
                name="videos_upload_size",
                condition=Q(size_bytes__gte=1) | Q(size_bytes=None, protocol=UploadProtocol.TUS.value),
            ),
            models.CheckConstraint(
                name="videos_upload_failed_says_why", condition=~Q(state=UploadState.FAILED.value) | ~Q(error_code="")
            ),
        ]

    def __str__(self) -> str:
        return self.filename

    @property
    def key(self) -> str:
        """Key of the object in the store that it becomes."""
        return source_key(self.video_id)

    @property
    def part_count(self) -> int | None:
        """Number of its parts. None: its size is not known yet."""
        return None if self.size_bytes is None else -(-self.size_bytes // self.part_bytes)

    def part_size(self, number: int) -> int:
        """Return the size of a part in bytes. `number` counts from 1; 0 for one that it does not have."""
        start = (number - 1) * self.part_bytes
        return max(0, min(self.part_bytes, (self.size_bytes or 0) - start)) if number > 0 else 0
