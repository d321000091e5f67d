"""What clients get to see, as serializers for the schema's sake; they only read."""

from typing import Any

from django.urls import reverse
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from jobs.selectors import JobView
from jobs.transitions import JobPhase, JobState


class JobError(serializers.Serializer[Any]):
    code = serializers.CharField()
    detail = serializers.CharField()
    retryable = serializers.BooleanField()


class JobLinks(serializers.Serializer[Any]):
    self = serializers.CharField()
    video = serializers.CharField()
    playback = serializers.CharField()


class JobDocument(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    video_id = serializers.UUIDField()
    state = serializers.ChoiceField([state.value for state in JobState])
    phase = serializers.ChoiceField(
        [phase.value for phase in JobPhase], help_text="What an unfinished job is doing; empty when it is over."
    )
    priority = serializers.IntegerField()
    progress = serializers.IntegerField(help_text="0 to 100. Goes back only where a retry has to begin anew.")
    speed = serializers.FloatField(allow_null=True, help_text="Seconds of video per second.")
    eta_seconds = serializers.IntegerField(allow_null=True)
    created_at = serializers.DateTimeField()
    started_at = serializers.DateTimeField(allow_null=True)
    playable_at = serializers.DateTimeField(allow_null=True)
    finished_at = serializers.DateTimeField(allow_null=True)
    error = JobError(allow_null=True)
    request = serializers.DictField()
    metadata = serializers.DictField()
    links = serializers.SerializerMethodField()

    @extend_schema_field(JobLinks)
    def get_links(self, job: JobView) -> dict[str, str]:
        video = reverse("video-detail", args=[job.video_id])
        return {"self": reverse("job-detail", args=[job.id]), "video": video, "playback": f"{video}/playback"}
