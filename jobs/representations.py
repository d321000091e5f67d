"""What clients get to see, as serializers for the schema's sake; they only read."""

from collections.abc import Sequence
from typing import Any

from django.http import HttpRequest
from django.urls import reverse
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from jobs.models import Job
from jobs.selectors import JobView
from jobs.transitions import JobPhase, JobState
from videos.addresses import play_addresses
from videos.models import Rendition
from videos.outputs import ChecksumKind, OutputType, outputs_of

JOB_STATES = [state.value for state in JobState]


class JobError(serializers.Serializer[Any]):
    code = serializers.CharField()
    detail = serializers.CharField()
    retryable = serializers.BooleanField()


class JobLinks(serializers.Serializer[Any]):
    self = serializers.CharField()
    outputs = serializers.CharField()
    video = serializers.CharField()
    playback = serializers.CharField()


class JobDocument(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    video_id = serializers.UUIDField()
    state = serializers.ChoiceField(JOB_STATES)
    phase = serializers.ChoiceField(
        [phase.value for phase in JobPhase], help_text="What an unfinished job is doing; empty when it is over."
    )
    priority = serializers.IntegerField()
    progress = serializers.IntegerField(help_text="0 to 100; never goes back.")
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
        address = reverse("job-detail", args=[job.id])
        return {"self": address, "outputs": f"{address}/outputs", "video": video, "playback": f"{video}/playback"}


class ChecksumDocument(serializers.Serializer[Any]):
    algorithm = serializers.ChoiceField(
        [kind.value for kind in ChecksumKind],
        help_text="sha256: of the bytes at the address. sha256-list: of the lines of SHA-256s (hexadecimal) of what it"
        " consists of: of a rendition's init segment and its segments, or of all renditions' checksums.",
    )
    value = serializers.CharField(help_text="Hexadecimal.")


class OutputDocument(serializers.Serializer[Any]):
    type = serializers.ChoiceField([kind.value for kind in OutputType])
    rendition = serializers.CharField(allow_null=True, help_text="Null: all of them.")
    url = serializers.URLField()
    size = serializers.IntegerField(help_text="Bytes, playlists and manifests not counted.")
    checksum = ChecksumDocument()
    codecs = serializers.CharField(help_text="As RFC 6381 names them.")
    width = serializers.IntegerField(allow_null=True, help_text="This and what follows: of one rendition.")
    height = serializers.IntegerField(allow_null=True)
    frame_rate = serializers.CharField(allow_null=True)
    bitrate = serializers.IntegerField(allow_null=True, help_text="Bits per second, as measured over the whole.")
    peak_bitrate = serializers.IntegerField(allow_null=True, help_text="The same of the largest segment.")


class OutputsDocument(serializers.Serializer[Any]):
    job_id = serializers.UUIDField()
    state = serializers.ChoiceField(JOB_STATES)
    expires_at = serializers.DateTimeField(allow_null=True, help_text="Until when the addresses work.")
    outputs = OutputDocument(many=True, help_text="Empty until the job is completed.")


def outputs_document(job: Job, renditions: Sequence[Rendition], request: HttpRequest) -> dict[str, Any]:
    """Show what a job made of these renditions; without any there is nothing to show."""
    shown: dict[str, Any] = {"job_id": job.id, "state": job.state, "expires_at": None, "outputs": []}
    if renditions:
        addresses = play_addresses(request, job.video, renditions[0].generation)
        shown |= {"expires_at": addresses.expires_at, "outputs": list(outputs_of(renditions, addresses))}
    return OutputsDocument(shown).data
