"""The DASH manifest of a complete generation, from its rows and its plan."""

from transcoding.encoders import AAC
from transcoding.manifests.dash import Timeline, dash_manifest
from transcoding.planning.plan import EncodePlan
from videos.models import Generation, Rendition
from videos.playback.playlists import generation_audio, generation_videos
from videos.selectors import rendition_durations
from videos.states import RenditionKind


def generation_dash(generation: Generation) -> str:
    """Render the MPD. All rungs have the segments of the first one: `finish` compared each with the same plan."""
    plan = EncodePlan.from_json(generation.plan)
    rows = {row.name: row for row in generation.renditions.order_by("position")}
    first_rung = next(row for row in rows.values() if row.kind == RenditionKind.VIDEO)
    return dash_manifest(
        generation_videos(plan, rows),
        Timeline.of_samples(rendition_durations(first_rung), timescale=first_rung.timescale),
        [(track, _audio_timeline(rows[track.name])) for track in generation_audio(plan, rows)],
        duration=plan.grid.duration,
    )


def _audio_timeline(rendition: Rendition) -> Timeline:
    durations = rendition_durations(rendition)
    return Timeline.of_samples(durations, timescale=rendition.timescale, skipped=AAC.priming_samples)
