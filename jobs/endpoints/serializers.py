"""Response bodies of jobs, as read-only serializers, from which the OpenAPI document is generated."""

from typing import Any

from django.http import HttpRequest
from django.urls import reverse
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from api.responses import as_document
from jobs.endpoints.destinations import JobDelivery
from jobs.models import Job
from jobs.reports.selectors import JobView
from jobs.rules.steps import COMMANDS
from jobs.rules.transitions import JobPhase, JobState
from transcoding.encoders import HardwarePath
from transcoding.planning.tracks import Mix
from transcoding.probing.streams import AudioRole
from videos.assets.outputs import ChecksumKind, OutputType, outputs_of
from videos.assets.selectors import CompleteGeneration
from videos.playback.urls import playback_urls
from videos.serializers import SourceWarningDocument

JOB_STATES = [state.value for state in JobState]


class JobError(serializers.Serializer[Any]):
    code = serializers.CharField()
    detail = serializers.CharField(help_text="What is wrong, and what to do about it.")
    details = serializers.CharField(allow_null=True, help_text="The words of the program that failed.")
    retryable = serializers.BooleanField()


class JobLinks(serializers.Serializer[Any]):
    self = serializers.CharField()
    outputs = serializers.CharField()
    video = serializers.CharField()
    playback = serializers.CharField()
    plan = serializers.CharField()


class PlannedColor(serializers.Serializer[Any]):
    primaries = serializers.CharField(help_text="As ffprobe names it, like what follows.")
    transfer = serializers.CharField()
    matrix = serializers.CharField()
    range = serializers.CharField(help_text="tv: limited, pc: full.")


class PlannedRendition(serializers.Serializer[Any]):
    name = serializers.CharField()
    codec = serializers.CharField()
    width = serializers.IntegerField()
    height = serializers.IntegerField()
    bitrate = serializers.IntegerField(help_text="Bits per second, on average.")
    max_rate = serializers.IntegerField(help_text="Bits per second, at peaks.")
    buffer_size = serializers.IntegerField(help_text="Bits.")
    profile = serializers.CharField()
    level = serializers.CharField()
    tier = serializers.CharField(help_text="Of HEVC and AV1; empty for H.264.")
    constant_quality = serializers.BooleanField(
        help_text="The encoder holds a quality, and the bitrate is the most that it may take for it."
    )
    codecs = serializers.CharField()
    peak_bandwidth = serializers.IntegerField(help_text="What playlists promise, in bits per second.")
    hdr = PlannedColor(allow_null=True, help_text="Of a rendition that keeps high dynamic range, in 10 bits.")


class PlannedEncoding(serializers.Serializer[Any]):
    codec = serializers.CharField()
    encoder = serializers.CharField()
    preset = serializers.CharField()
    device = serializers.ChoiceField(
        [path.value for path in HardwarePath],
        help_text="cpu; upload: a GPU that gets decoded frames; device: a GPU that decodes, too.",
    )
    passes = serializers.IntegerField()
    speed = serializers.FloatField(allow_null=True, help_text="Seconds of video per second of one worker slot.")
    work_seconds = serializers.FloatField(allow_null=True, help_text="Seconds of one slot's work.")
    renditions = serializers.ListField(child=serializers.CharField(), help_text="Their names.")


class PlannedAudio(serializers.Serializer[Any]):
    name = serializers.CharField()
    stream = serializers.IntegerField(help_text="Index of the stream in the source.")
    language = serializers.CharField(help_text="As the source names it; empty if it does not.")
    role = serializers.ChoiceField([role.value for role in AudioRole])
    default = serializers.BooleanField(help_text="Players begin with this track.")
    channels = serializers.IntegerField()
    bitrate = serializers.IntegerField(help_text="Bits per second.")
    codec = serializers.CharField()
    codecs = serializers.CharField()
    mix = serializers.ChoiceField(
        [mix.value for mix in Mix],
        help_text="The rule by which the source's channels become these; none: ffmpeg's own.",
    )
    normalized = serializers.BooleanField(help_text="Brought to -16 LUFS and -1.5 dBTP.")
    peak_bandwidth = serializers.IntegerField(help_text="What playlists promise, in bits per second.")


class PlannedStepDocument(serializers.Serializer[Any]):
    kind = serializers.ChoiceField(
        COMMANDS,
        help_text="analysis: the first of two passes over a chunk, by the same step.",
    )
    ordinal = serializers.IntegerField()
    first_segment = serializers.IntegerField()
    segments = serializers.IntegerField()
    start = serializers.FloatField(help_text="Seconds from the start of the video.")
    duration = serializers.FloatField(help_text="Seconds.")
    command = serializers.ListField(child=serializers.CharField(), help_text="Arguments of one run of ffmpeg.")


class PlanReason(serializers.Serializer[Any]):
    choice = serializers.CharField()
    value = serializers.CharField()
    because = serializers.CharField()


class PlanEstimate(serializers.Serializer[Any]):
    speed = serializers.FloatField(help_text="Seconds of video per second of one worker slot.")
    work_seconds = serializers.FloatField(help_text="Seconds of one slot's work.")
    step_seconds = serializers.FloatField(help_text="Seconds of one slot's work on the longest step.")
    slots = serializers.IntegerField(help_text="Worker slots that are there now.")
    seconds = serializers.FloatField(allow_null=True, help_text="Seconds until the end if all of them were idle.")


class PlanBudget(serializers.Serializer[Any]):
    """Expected work in seconds of one worker slot."""

    job_seconds = serializers.FloatField(help_text="Of this job.")
    max_job_seconds = serializers.IntegerField(help_text="Of any job. One of more work is refused.")
    open_seconds = serializers.FloatField(help_text="Of your other planned jobs that have not ended.")
    max_open_seconds = serializers.IntegerField(help_text="Of all of them together, this one included.")
    fits = serializers.BooleanField(
        help_text="False: a job is refused now (429 work_budget_exceeded), or waits if its video is inspected later."
    )


class PlanDocument(serializers.Serializer[Any]):
    """The plan of a job or of a dry run, with its reasons."""

    video_id = serializers.UUIDField()
    job_id = serializers.UUIDField(allow_null=True, help_text="Null in a dry run.")
    generation = serializers.IntegerField(allow_null=True, help_text="Null in a dry run.")
    codec = serializers.CharField(
        help_text="That of the video, the first one of several, or of the audio where there is no video."
    )
    encoder = serializers.CharField()
    preset = serializers.CharField(allow_null=True, help_text="This and what follows of video: null without video.")
    devices = serializers.ListField(
        child=serializers.CharField(), help_text="UUIDs of the GPUs that worked on it so far; chosen chunk by chunk."
    )
    frame_rate = serializers.FloatField(allow_null=True)
    duration = serializers.FloatField(allow_null=True, help_text="Seconds. Null while the source has not ended.")
    total_frames = serializers.IntegerField(allow_null=True)
    total_segments = serializers.IntegerField(allow_null=True)
    encodings = PlannedEncoding(
        many=True, help_text="One for each codec, the one that players begin with first. Empty: audio alone."
    )
    renditions = PlannedRendition(many=True, help_text="Of video; empty where the source has audio alone.")
    audio = PlannedAudio(many=True)
    color = PlannedColor(
        allow_null=True,
        help_text="What renditions are tagged with, but those that keep high dynamic range. Null: with what"
        " the source's frames carry.",
    )
    warnings = SourceWarningDocument(many=True)
    reasons = PlanReason(many=True)
    step_counts = serializers.DictField(
        child=serializers.IntegerField(), help_text="Number of runs of ffmpeg by their kind."
    )
    steps_total = serializers.IntegerField(help_text="Number of all runs of ffmpeg.")
    steps = PlannedStepDocument(many=True, help_text="Those from `offset` on, `limit` of them.")
    estimate = PlanEstimate(allow_null=True)
    budget = PlanBudget()


class JobDocument(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    video_id = serializers.UUIDField()
    state = serializers.ChoiceField(JOB_STATES)
    status = serializers.ChoiceField(JOB_STATES, source="state", help_text="The same as `state`.")
    phase = serializers.ChoiceField(
        [phase.value for phase in JobPhase], help_text="What an unfinished job is doing; empty when it is over."
    )
    priority = serializers.IntegerField()
    progress = serializers.IntegerField(help_text="0 to 100. Falls only where a retry has to start again.")
    speed = serializers.FloatField(allow_null=True, help_text="Seconds of video per second.")
    eta_seconds = serializers.IntegerField(allow_null=True)
    created_at = serializers.DateTimeField()
    started_at = serializers.DateTimeField(allow_null=True)
    playable_at = serializers.DateTimeField(allow_null=True)
    finished_at = serializers.DateTimeField(allow_null=True)
    error = JobError(allow_null=True)
    request = serializers.DictField(help_text="The request of the job, with the defaults filled in.")
    delivery = JobDelivery(allow_null=True, help_text="Null: the request names no destination.")
    external_id = serializers.CharField(allow_null=True, help_text="Your own name for it.")
    metadata = serializers.DictField(help_text="The metadata of the request, and how the job was processed.")
    links = serializers.SerializerMethodField()

    @extend_schema_field(JobLinks)
    def get_links(self, job: JobView) -> dict[str, str]:
        video = reverse("video-detail", args=[job.video_id])
        address = reverse("job-detail", args=[job.id])
        return {
            "self": address,
            "outputs": f"{address}/outputs",
            "plan": f"{address}/plan",
            "video": video,
            "playback": f"{video}/playback",
        }


class ChecksumDocument(serializers.Serializer[Any]):
    algorithm = serializers.ChoiceField(
        [kind.value for kind in ChecksumKind],
        help_text="sha256: of the bytes at the address. sha256-list: of the lines of SHA-256s (hexadecimal) of what it"
        " consists of: of a rendition's init segment and its segments, or of all renditions' checksums.",
    )
    value = serializers.CharField(help_text="Hexadecimal.")


class OutputDocument(serializers.Serializer[Any]):
    type = serializers.ChoiceField([kind.value for kind in OutputType])
    rendition = serializers.CharField(allow_null=True, help_text="Also the name of a text. Null: all of them.")
    url = serializers.URLField()
    size = serializers.IntegerField(help_text="Bytes, playlists and manifests not counted.")
    checksum = ChecksumDocument()
    codecs = serializers.CharField(help_text="As RFC 6381 names them.")
    width = serializers.IntegerField(allow_null=True, help_text="This and what follows: of one rendition.")
    height = serializers.IntegerField(allow_null=True)
    frame_rate = serializers.CharField(allow_null=True)
    bitrate = serializers.IntegerField(allow_null=True, help_text="Bits per second, as measured over the whole.")
    peak_bitrate = serializers.IntegerField(
        allow_null=True, help_text="The same of the largest segment; a last one that is shorter does not count."
    )
    language = serializers.CharField(allow_null=True, help_text="Of a text: a tag by BCP 47.")


class OutputsDocument(serializers.Serializer[Any]):
    job_id = serializers.UUIDField()
    state = serializers.ChoiceField(JOB_STATES)
    expires_at = serializers.DateTimeField(allow_null=True, help_text="Until when the addresses work.")
    outputs = OutputDocument(many=True, help_text="Empty until the job is completed.")


def outputs_document(job: Job, complete: CompleteGeneration | None, request: HttpRequest) -> dict[str, Any]:
    """Return the outputs of a job; none while its generation is not complete."""
    shown: dict[str, Any] = {"job_id": job.id, "state": job.state, "expires_at": None, "outputs": []}
    if complete:
        addresses = playback_urls(request, job.video, complete.generation)
        shown |= {"expires_at": addresses.expires_at, "outputs": list(outputs_of(complete, addresses))}
    document: dict[str, Any] = as_document(OutputsDocument, shown)
    return document
