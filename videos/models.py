from enum import StrEnum
from functools import cached_property
from uuid import uuid4

from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import ArrayField, IntegerRangeField, RangeOperators
from django.db import models
from django.db.models import F, Func, Q
from django.db.models.functions import Now
from django.db.models.lookups import Exact

from access.models import Owner
from transcoding.planning.plan import EncodePlan
from transcoding.probing.images import ImageFormat
from videos.states import (
    AssetKind,
    GenerationState,
    RenditionKind,
    RenditionState,
    TextOrigin,
    TextState,
    ThumbnailState,
    VideoState,
)


def _one_of(field: str, values: type[StrEnum]) -> Q:
    return Q(**{f"{field}__in": [value.value for value in values]})


class Video(models.Model):
    """One uploaded source.

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
    source_deleted_at = models.DateTimeField(null=True)
    """The moment at which the owner deleted the source alone. What was made of it stays."""

    class Meta:
        indexes = [
            models.Index(fields=["owner", "-created_at", "-id"], name="videos_video_newest"),
            models.Index(fields=["-created_at", "-id"], name="videos_video_newest_of_all"),
            models.Index(fields=["state", "-created_at", "-id"], name="videos_video_newest_in_state"),
            models.Index(fields=["external_id", "owner"], name="videos_video_external", condition=~Q(external_id="")),
        ]
        constraints = [
            models.CheckConstraint(name="videos_video_state", condition=_one_of("state", VideoState)),
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
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    playable_at = models.DateTimeField(null=True)
    completed_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [
            models.Index(fields=["beside"], name="videos_generation_beside", condition=Q(beside__isnull=False)),
        ]
        constraints = [
            models.UniqueConstraint(fields=["video", "number"], name="videos_generation_number"),
            models.CheckConstraint(name="videos_generation_state", condition=_one_of("state", GenerationState)),
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


class Rendition(models.Model):
    """One track that a player can choose.

    The first published run sets `init_*`; all later runs have the same init segment. `bitrate` and the measured rates
    are bits per second, `timescale` is ticks per second. `total_segments` is NULL while the rendition is open: nobody
    knows yet where its source ends. `peak_bitrate`, `avg_bitrate`, `size_bytes` and `sha256` (see `digest_of`) cover
    the init segment and all segments, and are set when the rendition is completed. So are `keyframe_peak_bitrate` and
    `keyframe_avg_bitrate`, the rates of its key frames alone; they stay NULL where those are not stored.
    """

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    generation = models.ForeignKey(Generation, on_delete=models.CASCADE, related_name="renditions", db_index=False)
    name = models.TextField()
    kind = models.TextField()
    position = models.PositiveSmallIntegerField()
    width = models.PositiveIntegerField(null=True)
    height = models.PositiveIntegerField(null=True)
    bitrate = models.PositiveBigIntegerField()
    codecs = models.TextField()
    frame_rate = models.TextField(blank=True)
    timescale = models.PositiveIntegerField()
    state = models.TextField(default=RenditionState.PENDING.value)
    total_segments = models.PositiveIntegerField(null=True)
    init_key = models.TextField(blank=True)
    init_sha256 = models.TextField(blank=True)
    peak_bitrate = models.PositiveBigIntegerField(null=True)
    avg_bitrate = models.PositiveBigIntegerField(null=True)
    keyframe_peak_bitrate = models.PositiveBigIntegerField(null=True)
    keyframe_avg_bitrate = models.PositiveBigIntegerField(null=True)
    size_bytes = models.PositiveBigIntegerField(null=True)
    sha256 = models.TextField(blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["generation", "name"], name="videos_rendition_name"),
            models.UniqueConstraint(fields=["generation", "id"], name="videos_rendition_generation"),
            models.CheckConstraint(name="videos_rendition_kind", condition=_one_of("kind", RenditionKind)),
            models.CheckConstraint(name="videos_rendition_state", condition=_one_of("state", RenditionState)),
            models.CheckConstraint(name="videos_rendition_total", condition=Q(total_segments__gte=1)),
            models.CheckConstraint(
                name="videos_rendition_completed_is_closed",
                condition=~Q(state=RenditionState.COMPLETED.value) | Q(total_segments__isnull=False),
            ),
        ]


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
            models.CheckConstraint(name="videos_asset_kind", condition=_one_of("kind", AssetKind)),
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
            models.CheckConstraint(name="videos_thumbnails_state", condition=_one_of("state", ThumbnailState)),
            models.CheckConstraint(
                name="videos_thumbnails_ready_has_images",
                condition=~Q(state=ThumbnailState.READY.value) | Q(images__isnull=False, ready_at__isnull=False),
            ),
            models.CheckConstraint(
                name="videos_thumbnails_failed_says_why",
                condition=~Q(state=ThumbnailState.FAILED.value) | ~Q(error_code=""),
            ),
        ]


class Text(models.Model):
    """Subtitles or captions of a video, in all of its generations.

    `name` is its part of playback URLs and never used again. `language` is a BCP 47 tag. Times in `webvtt` count from
    the beginning of the outputs, or of an embedded one on the clock of the working copy. It is written once.
    """

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    video = models.ForeignKey(Video, on_delete=models.CASCADE, related_name="texts", db_index=False)
    name = models.TextField()
    language = models.TextField()
    label = models.TextField(blank=True)
    """As the owner wrote it; empty: the language stands for it."""
    is_default = models.BooleanField(default=False)
    forced = models.BooleanField(default=False)
    captions = models.BooleanField(default=False)
    """It describes noises and music besides speech."""
    origin = models.TextField(default=TextOrigin.UPLOADED.value)
    stream = models.PositiveIntegerField(null=True)
    """ffprobe's index of an embedded one in the uploaded file."""
    state = models.TextField(default=TextState.READY.value)
    webvtt = models.TextField(blank=True)
    cue_count = models.PositiveIntegerField(null=True)
    error_detail = models.TextField(blank=True)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["video", "name"], name="videos_text_name"),
            models.UniqueConstraint(fields=["video", "stream"], name="videos_text_stream"),
            models.UniqueConstraint(fields=["video"], name="videos_text_default", condition=Q(is_default=True)),
            models.CheckConstraint(name="videos_text_state", condition=_one_of("state", TextState)),
            models.CheckConstraint(name="videos_text_slug", condition=Q(name__regex=r"^[A-Za-z0-9-]+$")),
            models.CheckConstraint(
                name="videos_text_origin",
                condition=Q(origin=TextOrigin.UPLOADED.value, stream__isnull=True)
                | Q(origin=TextOrigin.EMBEDDED.value, stream__isnull=False),
            ),
            models.CheckConstraint(
                name="videos_text_ready",
                condition=~Q(state=TextState.READY.value) | Q(cue_count__gte=1) & ~Q(webvtt=""),
            ),
            models.CheckConstraint(
                name="videos_text_failed", condition=~Q(state=TextState.FAILED.value) | ~Q(error_detail="")
            ),
        ]

    def __str__(self) -> str:
        return self.name


class SegmentNumbers(Func):
    """Half-open range of the segment numbers of a run."""

    function = "int4range"
    output_field = IntegerRangeField()


class ZeroCount(Func):
    """Number of zeros in an array."""

    template = "cardinality(array_positions(%(expressions)s, 0))"
    output_field = models.IntegerField()


class SegmentRun(models.Model):
    """Consecutive segments of one rendition, published together by one attempt of one step.

    Arrays have one entry per segment: durations in ticks of the rendition's time scale, sizes in bytes, SHA-256 in
    hex, frames (samples of audio). Two runs of a rendition never share a segment number.

    `keyframe_*` have one entry per key frame, for I-frame playlists: its byte range in the segment, from its `moof`
    through its last byte, and its presentation in ticks after the start of the segment. The key frames of a segment
    begin where the offset is 0. None of audio, and of runs older than these columns.
    """

    id = models.BigAutoField(primary_key=True)
    rendition = models.ForeignKey(Rendition, on_delete=models.CASCADE, related_name="runs", db_index=False)
    step_id = models.UUIDField()
    attempt = models.PositiveIntegerField()
    key_prefix = models.TextField()
    first_segment = models.PositiveIntegerField()
    segment_count = models.PositiveIntegerField()
    durations = ArrayField(models.BigIntegerField())
    sizes = ArrayField(models.BigIntegerField())
    digests = ArrayField(models.TextField())
    frames = ArrayField(models.IntegerField())
    keyframe_offsets = ArrayField(models.IntegerField(), null=True)
    keyframe_sizes = ArrayField(models.IntegerField(), null=True)
    keyframe_ticks = ArrayField(models.IntegerField(), null=True)
    published_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["rendition", "first_segment"], name="videos_run_first_segment"),
            ExclusionConstraint(
                name="videos_run_no_overlap",
                expressions=[
                    ("rendition", RangeOperators.EQUAL),
                    (
                        SegmentNumbers(F("first_segment"), F("first_segment") + F("segment_count")),
                        RangeOperators.OVERLAPS,
                    ),
                ],
            ),
            models.CheckConstraint(
                name="videos_run_arrays",
                condition=Q(
                    segment_count__gte=1,
                    durations__len=F("segment_count"),
                    sizes__len=F("segment_count"),
                    digests__len=F("segment_count"),
                    frames__len=F("segment_count"),
                ),
            ),
            models.CheckConstraint(
                name="videos_run_keyframes",
                condition=Q(keyframe_offsets=None, keyframe_sizes=None, keyframe_ticks=None)
                | Q(
                    Exact(ZeroCount(F("keyframe_offsets")), F("segment_count")),
                    keyframe_offsets__isnull=False,
                    keyframe_sizes__isnull=False,
                    keyframe_ticks__isnull=False,
                    keyframe_offsets__0=0,
                    keyframe_sizes__len=Func(F("keyframe_offsets"), function="cardinality"),
                    keyframe_ticks__len=Func(F("keyframe_offsets"), function="cardinality"),
                ),
            ),
        ]


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
        constraints = [models.CheckConstraint(name="videos_watermark_format", condition=_one_of("format", ImageFormat))]

    def __str__(self) -> str:
        return f"{self.format}, {self.width}x{self.height}"
