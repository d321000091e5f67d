"""Files of a generation beside its segments, and the images of a video."""

from uuid import uuid4

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from videos.models.constraints import one_of
from videos.models.renditions import Rendition
from videos.models.videos import Generation, Video
from videos.states import AssetKind, ThumbnailState


class Asset(models.Model):
    """One file of a generation that is neither a segment nor a manifest, published by the step that made it.

    `name` is its part of the playback URL, unique per kind: of an MP4, that of its rendition. `rendition` is the one
    whose media it holds, if any, always of the same generation. `language` is a BCP 47 tag or empty. Pixels for
    `width` and `height`, seconds for `duration`, SHA-256 in hexadecimal; None where a kind has no such thing.
    """

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    generation = models.ForeignKey(Generation, on_delete=models.CASCADE, related_name="assets", db_index=False)
    # The database holds (generation, rendition) against renditions, in migration 0007: no other generation's one.
    rendition = models.ForeignKey(
        Rendition, on_delete=models.CASCADE, null=True, related_name="assets", db_constraint=False
    )
    kind = models.TextField()
    name = models.TextField()
    language = models.TextField(blank=True)
    media_type = models.TextField()
    key = models.TextField(unique=True)
    size_bytes = models.PositiveBigIntegerField()
    sha256 = models.TextField()
    width = models.PositiveIntegerField(null=True)
    height = models.PositiveIntegerField(null=True)
    duration = models.FloatField(null=True)
    published_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["generation", "kind", "name"], name="videos_asset_name"),
            models.CheckConstraint(name="videos_asset_kind", condition=one_of("kind", AssetKind)),
            models.CheckConstraint(name="videos_asset_slug", condition=Q(name__regex=r"^[A-Za-z0-9_-]+$")),
            models.CheckConstraint(
                name="videos_asset_language",
                condition=Q(language="") | Q(language__regex=r"^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$"),
            ),
            models.CheckConstraint(
                name="videos_asset_object",
                condition=~Q(key="")
                & Q(size_bytes__gte=1, sha256__regex=r"^[0-9a-f]{64}$", media_type__regex=r"^[a-z]+/[a-z0-9.+-]+$"),
            ),
            models.CheckConstraint(
                name="videos_asset_geometry",
                condition=Q(width__isnull=True, height__isnull=True)
                | Q(width__isnull=False, height__isnull=False, width__gte=1, height__gte=1),
            ),
            models.CheckConstraint(
                name="videos_asset_duration", condition=Q(duration__isnull=True) | Q(duration__gt=0)
            ),
            models.CheckConstraint(
                name="videos_asset_mp4",
                condition=~Q(kind=AssetKind.MP4.value)
                | Q(rendition__isnull=False, duration__isnull=False, language="")
                & (Q(width__isnull=False, media_type="video/mp4") | Q(width__isnull=True, media_type="audio/mp4")),
            ),
            models.CheckConstraint(
                name="videos_asset_m4a",
                condition=~Q(kind=AssetKind.M4A.value)
                | Q(rendition__isnull=False, duration__isnull=False, width__isnull=True, media_type="audio/mp4"),
            ),
        ]


class Thumbnails(models.Model):
    """The images of a video: poster, thumbnails, sprite sheets, preview. They belong to no generation.

    `request` and `images` are records of `transcoding.planning` (`ThumbnailRequest`, `ImageSet`).
    """

    video = models.OneToOneField(Video, on_delete=models.CASCADE, primary_key=True, related_name="thumbnails")
    state = models.TextField(default=ThumbnailState.PENDING.value)
    request = models.JSONField()
    """The request that was last made."""
    images = models.JSONField(null=True)
    """The images that players have; None: there are none yet."""
    size_bytes = models.PositiveBigIntegerField(default=0)
    """Of `images`."""
    error_code = models.TextField(blank=True)
    error_detail = models.TextField(blank=True)
    requested_at = models.DateTimeField(db_default=Now())
    ready_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.CheckConstraint(name="videos_thumbnails_state", condition=one_of("state", ThumbnailState)),
            models.CheckConstraint(
                name="videos_thumbnails_ready_has_images",
                condition=~Q(state=ThumbnailState.READY.value) | Q(images__isnull=False, ready_at__isnull=False),
            ),
            models.CheckConstraint(
                name="videos_thumbnails_failed_says_why",
                condition=~Q(state=ThumbnailState.FAILED.value) | ~Q(error_code=""),
            ),
        ]
