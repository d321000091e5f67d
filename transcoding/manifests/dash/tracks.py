"""The tracks of a Period."""

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from xml.etree import ElementTree as ET

from transcoding.manifests.dash.adaptation import add_audio, add_video, allow_switching
from transcoding.manifests.dash.timeline import Timeline
from transcoding.manifests.variants import Presentation, VideoVariant


def add_tracks(period: ET.Element, presentation: Presentation, timelines: Mapping[str, Timeline]) -> None:
    """Add the adaptation sets of video and audio. `timelines` are those of the renditions, by name."""
    videos = [(alike, _shortest(alike, timelines)) for alike in _switchable(presentation.videos)]
    audio = presentation.audio
    groups = presentation.audio_groups
    first = [each for each in videos if each[0][0].sample_entry == videos[0][0][0].sample_entry]
    for alike, timeline in first:
        add_video(period, alike, timeline)
    for track in audio:
        preferred = len(groups) > 1 and track in groups[0]
        add_audio(period, track, timelines[track.name], alone=len(audio) == 1, preferred=preferred)
    for alike, timeline in videos[len(first) :]:  # behind the audio, whose ids stay when a codec comes later
        add_video(period, alike, timeline)
    allow_switching(period, [alike[0] for alike, _ in videos])


def longest_segment(presentation: Presentation, timelines: Mapping[str, Timeline]) -> Fraction:
    """Return the length of the longest segment in seconds. The video's counts: audio only comes near to its bounds."""
    videos = [_shortest(alike, timelines) for alike in _switchable(presentation.videos)]
    return max(timeline.longest for timeline in videos or [timelines[track.name] for track in presentation.audio])


def _switchable(videos: Sequence[VideoVariant]) -> Iterable[Sequence[VideoVariant]]:
    """Divide the renditions by codec and color space: players do not switch between dynamic ranges."""
    kinds: dict[object, list[VideoVariant]] = {}
    for video in videos:
        kinds.setdefault((video.sample_entry, video.color, video.folder), []).append(video)
    return kinds.values()


def _shortest(videos: Sequence[VideoVariant], timelines: Mapping[str, Timeline]) -> Timeline:
    """Return the timeline of the renditions that are made from one plan, as far as all of them go."""
    return min((timelines[video.name] for video in videos), key=lambda timeline: len(timeline.durations))
