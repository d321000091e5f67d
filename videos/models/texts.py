"""Subtitles and captions."""

from uuid import uuid4

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from videos.models.constraints import one_of
from videos.models.videos import Video
from videos.states import TextOrigin, TextState


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
    """As the owner wrote it; empty: the name of the language stands for it."""
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
    error_code = models.TextField(blank=True, db_default="")
    """Empty also of those that failed before there was a code: `text_unreadable`."""
    error_detail = models.TextField(blank=True)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["video", "name"], name="videos_text_name"),
            models.UniqueConstraint(fields=["video", "stream"], name="videos_text_stream"),
            models.UniqueConstraint(fields=["video"], name="videos_text_default", condition=Q(is_default=True)),
            models.CheckConstraint(name="videos_text_state", condition=one_of("state", TextState)),
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
