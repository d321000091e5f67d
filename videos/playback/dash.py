"""The DASH manifest of a generation, from its rows and its plan."""

from datetime import UTC, datetime

from transcoding.encoders import AAC
from transcoding.manifests.dash import Growth, Timeline, dash_manifest
from transcoding.planning.plan import EncodePlan
from videos.models import Generation, Rendition
from videos.playback.playlists import generation_audio, generation_videos
from videos.selectors import published_durations
from videos.states import GenerationState, RenditionKind


def has_dash(generation: Generation) -> bool:
    """Tell whether a generation can have a manifest, which states the duration: it is not open."""
    return not EncodePlan.from_json(generation.plan).grid.is_open


def generation_dash(generation: Generation) -> str:
    """Render the MPD of a generation whose start is published at least.

    All rungs have the segments of the first one, as far as they go: they are made from the same plan.
    """
    plan = EncodePlan.from_json(generation.plan)
    rows = {row.name: row for row in generation.renditions.order_by("position")}
    rungs = [row for row in rows.values() if row.kind == RenditionKind.VIDEO]
    growth = None
    if generation.state != GenerationState.COMPLETE and generation.playable_at:
        growth = Growth(playable_at=generation.playable_at, now=datetime.now(UTC))
    durations = [published_durations(row) for row in (rungs if growth else rungs[:1])]
    return dash_manifest(
        generation_videos(plan, rows),
        Timeline.of_samples(min(durations, key=len), timescale=rungs[0].timescale) if rungs else None,
        [(track, _audio_timeline(rows[track.name])) for track in generation_audio(plan, rows)],
        duration=plan.grid.duration,
        growth=growth,
    )


def _audio_timeline(rendition: Rendition) -> Timeline:
    durations = published_durations(rendition)
    return Timeline.of_samples(durations, timescale=rendition.timescale, skipped=AAC.priming_samples)
