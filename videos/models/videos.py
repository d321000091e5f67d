"""Videos and what their jobs made of them, generation by generation."""

from functools import cached_property
from uuid import uuid4

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from access.models import Owner
from transcoding.planning.plan import EncodePlan
from videos.models.constraints import one_of
from videos.states import GenerationState, VideoState


class Video(models.Model):
    """One source, uploaded or made of others.

    Inspection fills `facts`, which planning needs, and `media`, which people are shown. `external_id` and
    `client_metadata` are its owner's own and mean nothing here.
    """

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    owner = models.ForeignKey(Owner, on_delete=models.PROTECT, related_name="+", db_index=False)
    state = models.TextField(default=VideoState.UPLOADED.value)
    filename = models.TextField(blank=True)
    size_bytes = models.BigIntegerField()
    source_key = models.TextField()
    etag = models.TextField(blank=True)
    sha256 = models.TextField(blank=True)
    container = models.TextField(blank=True)
    external_id = models.TextField(blank=True, db_default="")
    client_metadata = models.JSONField(default=dict, db_default={})
    measure_loudness = models.BooleanField(default=False, db_default=False)
    """Whoever uploaded it requested the loudness of its audio."""
    parts = models.JSONField(null=True)
    """The videos that it joins, as `videos.parts` records them. None: it was uploaded."""
    facts = models.JSONField(null=True)
    media = models.JSONField(null=True)
    warnings = models.JSONField(default=list)
    error_code = models.TextField(blank=True)
    error_detail = models.TextField(blank=True)
    error_details = models.TextField(blank=True, db_default="")
    """Words of the program that failed."""
    current_generation = models.ForeignKey("Generation", on_delete=models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    inspected_at = models.DateTimeField(null=True)
    playback_epoch = models.PositiveIntegerField(default=0, db_default=0)
    """Number of times at which its playback tokens were revoked. Only tokens that carry it give access."""
    working_copies = models.JSONField(default=dict, db_default={})
    """Bytes of the copies that steps made of the source, by key after the prefix of the video. They go with it."""
    source_expires_at = models.DateTimeField(null=True)
    """The moment at which the janitor deletes the source. NULL: never."""
    source_deleted_at = models.DateTimeField(null=True)
    """The moment at which the owner deleted the source alone. What was made of it stays."""

    class Meta:
        indexes = [
            models.Index(fields=["owner", "-created_at", "-id"], name="videos_video_newest"),
            models.Index(fields=["-created_at", "-id"], name="videos_video_newest_of_all"),
            models.Index(fields=["state", "-created_at", "-id"], name="videos_video_newest_in_state"),
            models.Index(fields=["external_id", "owner"], name="videos_video_external", condition=~Q(external_id="")),
            models.Index(
                fields=["source_expires_at"],
                name="videos_video_source_expires",
                condition=Q(source_expires_at__isnull=False, source_deleted_at=None),
            ),
        ]
        constraints = [
            models.CheckConstraint(name="videos_video_state", condition=one_of("state", VideoState)),
            models.CheckConstraint(name="videos_video_size", condition=Q(size_bytes__gte=0)),
            models.CheckConstraint(
                name="videos_video_ready_has_facts",
                condition=~Q(state=VideoState.READY.value) | Q(facts__isnull=False, inspected_at__isnull=False),
            ),
            models.CheckConstraint(
                name="videos_video_rejected_says_why",
                condition=~Q(state=VideoState.REJECTED.value) | ~Q(error_code=""),
            ),
        ]

    def __str__(self) -> str:
        return self.filename or str(self.id)


class Generation(models.Model):
    """All renditions that one plan makes of a video. Trying again with another encoder makes another generation."""

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    video = models.ForeignKey(Video, on_delete=models.CASCADE, related_name="generations", db_index=False)
    number = models.PositiveIntegerField()
    beside = models.ForeignKey("self", on_delete=models.SET_NULL, null=True, related_name="companions", db_index=False)
    """The generation whose players get its video renditions, too, when it is complete; it never takes its place."""
    job_id = models.UUIDField(db_index=True)
    state = models.TextField(default=GenerationState.BUILDING.value)
    plan = models.JSONField()
    segment_bytes = models.BigIntegerField(default=0, db_default=0)
    """Sum of its runs. This and the next five are counted by triggers."""
    asset_bytes = models.BigIntegerField(default=0, db_default=0)
    encoded_audio_ms = models.BigIntegerField(default=0, db_default=0)
    """Milliseconds that were ever published of its audio; the next ones of its video, by its shorter side."""
    encoded_sd_ms = models.BigIntegerField(default=0, db_default=0)
    encoded_hd_ms = models.BigIntegerField(default=0, db_default=0)
    encoded_uhd_ms = models.BigIntegerField(default=0, db_default=0)
    released = models.BooleanField(default=False, db_default=False)
    """Its objects are deleted, or will be though its rows are there: they do not count as stored any more."""
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    playable_at = models.DateTimeField(null=True)
    completed_at = models.DateTimeField(null=True)
    expires_at = models.DateTimeField(null=True)
    """The moment at which the janitor deletes it, once it is complete. NULL: never."""

    class Meta:
        indexes = [
            models.Index(
                fields=["expires_at"],
                name="videos_generation_expires",
                condition=Q(expires_at__isnull=False, state=GenerationState.COMPLETE.value),
            ),
            models.Index(fields=["beside"], name="videos_generation_beside", condition=Q(beside__isnull=False)),
        ]
        constraints = [
            models.UniqueConstraint(fields=["video", "number"], name="videos_generation_number"),
            models.CheckConstraint(name="videos_generation_state", condition=one_of("state", GenerationState)),
            models.CheckConstraint(
                name="videos_generation_completed_at",
                condition=Q(completed_at__isnull=True) ^ Q(state=GenerationState.COMPLETE.value),
            ),
        ]

    @cached_property
    def encode_plan(self) -> EncodePlan:
        """The plan, read once: manifests take several looks at it.

        Raises UnknownVersion for a plan of a later program.
        """
        return EncodePlan.from_json(self.plan)
