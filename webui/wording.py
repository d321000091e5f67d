"""Words of the pages: states of videos and jobs, events, sizes and durations."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from events.types import EventType
from jobs.reports.selectors import JobView
from jobs.rules.transitions import JOB_ENDS, JobPhase, JobState
from videos.models import Video
from videos.states import GenerationState, VideoState


class Tone(StrEnum):
    """Color of a state."""

    QUIET = "quiet"
    BUSY = "busy"
    GOOD = "good"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Status:
    """State of a video for people. `percent`: of the job that runs."""

    label: str
    tone: Tone
    percent: int | None = None
    playable: bool = False

    @property
    def sentence(self) -> str:
        """Text for screen readers. It changes rarely enough to be read aloud: every ten percent."""
        done = "" if self.percent is None else f", {self.percent // 10 * 10} % done"
        return f"{self.label}{done}{', can be watched' if self.playable else ''}."


_BEFORE_READY: Mapping[str, Status] = {
    VideoState.JOINING.value: Status("Joining", Tone.BUSY),
    "importing": Status("Importing", Tone.BUSY),
    "verifying": Status("Checking the file", Tone.BUSY),
    VideoState.LIVE.value: Status("Live", Tone.BUSY),
    VideoState.UPLOADED.value: Status("Inspecting", Tone.BUSY),
    VideoState.REJECTED.value: Status("Rejected", Tone.BAD),
}
_PHASES: Mapping[str, str] = {
    JobPhase.INSPECTING.value: "Inspecting",
    JobPhase.WAITING.value: "Waiting",
    JobPhase.PLANNED.value: "Planned",
    JobPhase.ENCODING.value: "Transcoding",
    JobPhase.FINISHING.value: "Finishing",
}


def status_of(video: Video, job: JobView | None) -> Status:
    """Say how a video is doing, from its row (with `current_generation`) and its newest job."""
    playable = video.current_generation is not None
    if video.state in _BEFORE_READY:
        return replace(_BEFORE_READY[video.state], playable=playable)
    complete = video.current_generation is not None and video.current_generation.state == GenerationState.COMPLETE
    if job is None or (complete and job.state in JOB_ENDS):
        return Status("Ready", Tone.GOOD, playable=True) if playable else Status("Not transcoded", Tone.QUIET)
    if job.state == JobState.PROCESSING:
        return Status(_PHASES.get(job.phase, "Transcoding"), Tone.BUSY, job.progress, playable)
    if job.state == JobState.QUEUED:
        return Status(_PHASES.get(job.phase, "Waiting"), Tone.BUSY, job.progress or None, playable)
    if job.state == JobState.FAILED:
        return Status("Failed", Tone.BAD, playable=playable)
    return Status(job.state.capitalize(), Tone.QUIET, playable=playable)


EVENTS: Mapping[str, str] = {
    EventType.JOB_QUEUED.value: "Accepted",
    EventType.JOB_WAITING.value: "Waiting for a device or for other jobs",
    EventType.JOB_PLANNED.value: "Planned",
    EventType.JOB_STARTED.value: "Started",
    EventType.JOB_PLAYABLE.value: "The beginning can be watched",
    EventType.JOB_PAUSED.value: "Paused",
    EventType.JOB_RESUMED.value: "Resumed",
    EventType.JOB_REPRIORITIZED.value: "Priority changed",
    EventType.JOB_FELL_BACK.value: "Moved from the GPU to the CPU",
    EventType.JOB_RETRIED.value: "Tried again",
    EventType.JOB_COMPLETED.value: "Complete: all outputs are verified",
    EventType.JOB_FAILED.value: "Failed",
    EventType.JOB_CANCELLED.value: "Cancelled",
    EventType.JOB_OUTPUTS_DELETED.value: "Outputs deleted",
}

_CODECS: Mapping[str, str] = {
    "avc1": "H.264",
    "hvc1": "HEVC",
    "av01": "AV1",
    "vp09": "VP9",
    "mp4a": "AAC",
    "Opus": "Opus",
    "ac-3": "AC-3",
    "ec-3": "E-AC-3",
}
"""Names by sample entry."""

_MINUTE, _HOUR = 60, 3600
_KIB = 1024


def duration_text(seconds: float | None) -> str:
    """Render seconds as `1:02:03` or `2:03`. Empty for None."""
    if seconds is None:
        return ""
    whole = round(seconds)
    hours, minutes, rest = whole // _HOUR, whole % _HOUR // _MINUTE, whole % _MINUTE
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def wait_text(seconds: int) -> str:
    """Render an estimate of the time left."""
    if seconds < _MINUTE:
        return "less than a minute"
    minutes = -(-seconds // _MINUTE)
    return f"about {minutes} min" if minutes < _MINUTE else f"about {seconds / _HOUR:.1f} h"


def codec_text(codecs: str) -> str:
    """Render a codec, as RFC 6381 names it, by the name that people know."""
    return _CODECS.get(codecs.partition(".")[0], codecs)


def size_text(size: int) -> str:
    """Render bytes in the largest unit that leaves at least 1."""
    value, unit = float(size), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if value < _KIB:
            break
        value, unit = value / _KIB, larger
    return f"{value:.0f} {unit}" if unit in ("B", "KiB") else f"{value:.1f} {unit}"


def rate_text(bits: int | None) -> str:
    """Render a bitrate in bits per second. Empty for None."""
    if not bits:
        return ""
    return f"{bits / 1e6:.1f} Mbit/s" if bits >= 1_000_000 else f"{bits // 1000} kbit/s"  # noqa: PLR2004 - a mega
