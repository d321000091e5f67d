"""Rows of live streams: the streams, their broadcasts, what these consist of, and publishers that were refused."""

from enum import StrEnum
from uuid import uuid4

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from access.models import Owner
from jobs.models import Job
from livestreams.states import OPEN_STATES, BroadcastState, Latency, LivestreamState, RefusalCode
from videos.models import Video


def _one_of(field: str, values: type[StrEnum]) -> Q:
    return Q(**{f"{field}__in": [value.value for value in values]})


class Livestream(models.Model):
    """A place to publish to, with a key, and to play from, by other names. It is used again for each broadcast.

    `external_id` and `client_metadata` are its owner's own and mean nothing here.
    """

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    owner = models.ForeignKey(Owner, on_delete=models.PROTECT, related_name="+", db_index=False)
    name = models.TextField(blank=True)
    playback_id = models.TextField(unique=True)
    """Its part of playback URLs. It says nothing about the next two."""
    ingest_name = models.TextField(unique=True)
    """Name under which publishers and live workers know it at ingest servers. It grants nothing."""
    key_sha256 = models.TextField()
    """SHA-256, in hexadecimal, of the secret that publishers send with the name."""
    key_hint = models.TextField()
    """Last characters of the secret, for people who compare keys."""
    ladder = models.JSONField(default=dict)
    """The requested renditions and encoder, a record of `transcoding.planning`."""
    record = models.BooleanField(default=True)
    """Broadcasts stay as videos."""
    dvr_seconds = models.PositiveIntegerField()
    """Seconds that players may go back while it is live."""
    latency = models.TextField(default=Latency.NORMAL.value)
    private = models.BooleanField(default=False)
    """Playback URLs need a token."""
    reconnect_seconds = models.PositiveIntegerField()
    """Time for which a broadcast waits for a publisher that is gone."""
    max_bitrate = models.PositiveIntegerField(null=True)
    """Bits per second that its publisher may send. None: the limit of the installation."""
    max_height = models.PositiveIntegerField(null=True)
    """Lines, by the shorter side of the frame, that its publisher may send. None: the limit of the installation."""
    mp4 = models.BooleanField(default=False)
    """Progressive files are made of recordings."""
    push = models.JSONField(default=list)
    """Destinations that broadcasts are sent on to. Their URLs hold keys: nobody is shown them whole."""
    state = models.TextField(default=LivestreamState.IDLE.value)
    error_code = models.TextField(blank=True)
    error_detail = models.TextField(blank=True)
    external_id = models.TextField(blank=True)
    client_metadata = models.JSONField(default=dict)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    deleted_at = models.DateTimeField(null=True)
    """The moment at which its owner deleted it. It is hidden; its recordings stay."""

    class Meta:
        indexes = [
            models.Index(fields=["owner", "-created_at", "-id"], name="livestreams_stream_newest"),
            models.Index(fields=["-created_at", "-id"], name="livestreams_stream_all"),
            models.Index(
                fields=["external_id", "owner"], name="livestreams_stream_external", condition=~Q(external_id="")
            ),
        ]
        constraints = [
            models.CheckConstraint(name="livestreams_stream_state", condition=_one_of("state", LivestreamState)),
            models.CheckConstraint(name="livestreams_stream_latency", condition=_one_of("latency", Latency)),
            models.CheckConstraint(
                name="livestreams_stream_failed_says_why",
                condition=~Q(state=LivestreamState.FAILED.value) | ~Q(error_code=""),
            ),
            models.CheckConstraint(name="livestreams_stream_names", condition=~Q(playback_id=models.F("ingest_name"))),
        ]

    def __str__(self) -> str:
        return self.name or str(self.id)


class Broadcast(models.Model):
    """One broadcast of a live stream, from an accepted publisher to the end: a video, made by a job of one live step.

    A publisher that returns in time goes on with the same one.
    """

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    livestream = models.ForeignKey(Livestream, on_delete=models.PROTECT, related_name="broadcasts", db_index=False)
    number = models.PositiveIntegerField()
    """Counts the broadcasts of a live stream from 1."""
    video = models.OneToOneField(Video, on_delete=models.PROTECT, related_name="broadcast")
    job = models.OneToOneField(Job, on_delete=models.SET_NULL, null=True, related_name="broadcast")
    """None: its owner deleted it, some time after the end."""
    state = models.TextField(default=BroadcastState.STARTING.value)
    record = models.BooleanField(default=True)
    """As its live stream had it at the beginning."""
    client_id = models.TextField(blank=True)
    """The ingest server's name of the publisher's connection. Empty: it has none at the moment."""
    ingest_address = models.TextField()
    """Host, port and application of the ingest server, "host:port/app", as live workers reach it."""
    publisher_address = models.TextField(blank=True)
    """Address that the publisher connected from."""
    reader_ready_at = models.DateTimeField(null=True)
    """The moment at which a worker's reader waited at the ingest server, so that the publisher could be let in."""
    publisher_seen_at = models.DateTimeField(db_default=Now())
    """The last time at which its ingest server, or bytes at the worker, confirmed the publisher."""
    publisher_left_at = models.DateTimeField(null=True)
    """The moment since which it has no publisher. None: it has one."""
    silent_since = models.DateTimeField(null=True)
    """The moment since which nothing arrives at its worker, whether or not there is a publisher. None: it arrives."""
    stop_requested_at = models.DateTimeField(null=True)
    started_at = models.DateTimeField(db_default=Now(), editable=False)
    live_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    """The moment at which its source ended. The recording is complete a little later."""
    error_code = models.TextField(blank=True)
    error_detail = models.TextField(blank=True)
    health = models.JSONField(default=dict)
    """The newest measurements of what arrives (see `transcoding.flv`)."""
    health_at = models.DateTimeField(null=True)
    viewers = models.JSONField(default=dict)
    """Players of the last seconds by rendition."""
    expired_segments = models.PositiveIntegerField(default=0)
    """Segments from the first one on that are deleted, since nothing is recorded and the window has left them."""

    class Meta:
        indexes = [
            models.Index(fields=["livestream", "-started_at"], name="livestreams_broadcast_newest"),
            models.Index(fields=["-started_at", "-id"], name="livestreams_broadcast_all"),
            models.Index(
                fields=["state", "livestream"],
                name="livestreams_broadcast_open",
                condition=Q(state__in=sorted(state.value for state in OPEN_STATES)),
            ),
            models.Index(fields=["ended_at"], name="livestreams_broadcast_ended", condition=Q(ended_at__isnull=False)),
        ]
        constraints = [
            models.UniqueConstraint(fields=["livestream", "number"], name="livestreams_broadcast_number"),
            models.UniqueConstraint(
                fields=["livestream"],
                name="livestreams_broadcast_one_open",
                condition=Q(state__in=sorted(state.value for state in OPEN_STATES)),
            ),
            models.CheckConstraint(name="livestreams_broadcast_state", condition=_one_of("state", BroadcastState)),
            models.CheckConstraint(
                name="livestreams_broadcast_failed_says_why",
                condition=~Q(state=BroadcastState.FAILED.value) | ~Q(error_code=""),
            ),
            models.CheckConstraint(
                name="livestreams_broadcast_is_over",
                condition=~Q(state__in=[BroadcastState.ENDED.value, BroadcastState.FAILED.value])
                | Q(ended_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.livestream_id} #{self.number}"


class Period(models.Model):
    """Consecutive segments of a broadcast, made by one attempt of one publisher: wall clock and media agree in it."""

    id = models.BigAutoField(primary_key=True)
    broadcast = models.ForeignKey(Broadcast, on_delete=models.CASCADE, related_name="periods", db_index=False)
    first_segment = models.PositiveIntegerField()
    starts_at = models.DateTimeField()
    """Wall clock of its first frame, by arrival."""
    attempt = models.PositiveIntegerField()
    """The attempt of the live step that made it."""

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["broadcast", "first_segment"], name="livestreams_period_first_segment"),
        ]

    def __str__(self) -> str:
        return f"from segment {self.first_segment}"


class Refusal(models.Model):
    """A publisher that was not let in, or was dropped. RTMP itself gives it no reason."""

    id = models.BigAutoField(primary_key=True)
    livestream = models.ForeignKey(Livestream, on_delete=models.CASCADE, related_name="refusals", db_index=False)
    code = models.TextField()
    detail = models.TextField()
    publisher_address = models.TextField(blank=True)
    count = models.PositiveIntegerField(default=1)
    """Publishers refused like this from there: encoders try again every few seconds."""
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    last_at = models.DateTimeField(db_default=Now())

    class Meta:
        indexes = [
            models.Index(fields=["livestream", "-last_at", "-id"], name="livestreams_refusal_newest"),
            models.Index(fields=["last_at"], name="livestreams_refusal_old"),
        ]
        constraints = [models.CheckConstraint(name="livestreams_refusal_code", condition=_one_of("code", RefusalCode))]

    def __str__(self) -> str:
        return self.code
