"""Renditions and their segments."""

from uuid import uuid4

from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import ArrayField, IntegerRangeField, RangeOperators
from django.db import models
from django.db.models import F, Func, Q
from django.db.models.functions import Now
from django.db.models.lookups import Exact

from videos.models.constraints import one_of
from videos.models.videos import Generation
from videos.states import RenditionKind, RenditionState


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
            models.CheckConstraint(name="videos_rendition_kind", condition=one_of("kind", RenditionKind)),
            models.CheckConstraint(name="videos_rendition_state", condition=one_of("state", RenditionState)),
            models.CheckConstraint(name="videos_rendition_total", condition=Q(total_segments__gte=1)),
            models.CheckConstraint(
                name="videos_rendition_completed_is_closed",
                condition=~Q(state=RenditionState.COMPLETED.value) | Q(total_segments__isnull=False),
            ),
        ]


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
