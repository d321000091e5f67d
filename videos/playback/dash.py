"""The DASH manifest of a generation, from its rows and its plan."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from itertools import chain

from transcoding.manifests.dash.manifest import Growth, dash_manifest
from transcoding.manifests.dash.timeline import Timeline
from transcoding.manifests.variants import TileVariant
from transcoding.planning.images import sprite_name
from transcoding.planning.plan import EncodePlan
from transcoding.planning.thumbnails import COLUMNS, ROWS
from videos.models import Generation, Rendition, Thumbnails
from videos.playback.presentation import generation_presentation, listed_renditions
from videos.selectors import published_durations
from videos.states import GenerationState, RenditionKind
from videos.thumbnails import images_of


def has_dash(generation: Generation) -> bool:
    """Tell whether a generation has a manifest, unless it was not wanted: it states the duration, so it is not open."""
    plan = generation.encode_plan
    return plan.dash and not plan.grid.is_open


TILES_FOLDER = "thumbnails/"
"""Folder of the images beside the manifest of a generation that is bundled."""


def generation_dash(generation: Generation, *, bundled: bool = False) -> str:
    """Render the MPD of a generation whose start is published at least.

    `bundled`: for a folder that has the files of the generation, and no others but the images in `TILES_FOLDER`.
    """
    growth = None
    if generation.state != GenerationState.COMPLETE and generation.playable_at:
        growth = Growth(playable_at=generation.playable_at, now=datetime.now(UTC))
    plan, listed = generation.encode_plan, listed_renditions(generation, bundled=bundled)
    tiles = None if growth else _tiles(generation, bundled=bundled)
    return dash_manifest(
        replace(generation_presentation(generation, listed), tiles=tiles),
        _timelines(plan, chain.from_iterable(listed.values()), growing=growth is not None),
        duration=plan.grid.duration,
        growth=growth,
    )


def _tiles(generation: Generation, *, bundled: bool) -> TileVariant | None:
    """Return the sprite sheets of the video. None: there are none yet."""
    images = images_of(Thumbnails.objects.filter(video=generation.video_id).first())
    if images is None:
        return None
    sheet = images.sprites.sheets[0]
    folder = TILES_FOLDER if bundled else f"../thumbnails/{images.name}/"
    return TileVariant(
        url=f"{folder}{sprite_name('$Number$')}",
        width=sheet.width,
        height=sheet.height,
        columns=COLUMNS,
        rows=ROWS,
        interval=images.sprites.interval,
        bandwidth=images.sprites.bandwidth,
    )


def _timelines(plan: EncodePlan, renditions: Iterable[Rendition], *, growing: bool) -> dict[str, Timeline]:
    """Read the timeline of each rendition. All rungs of a complete one have the segments of the first one."""
    primings = {track.name: track.encoder.priming_samples for track in plan.audio}
    timelines: dict[str, Timeline] = {}
    rung: Timeline | None = None
    for row in renditions:
        if row.kind == RenditionKind.VIDEO:
            rung = _timeline(row) if growing or rung is None else rung
            timelines[row.name] = rung
        else:
            timelines[row.name] = _timeline(row, skipped=primings[row.name])
    return timelines


def _timeline(rendition: Rendition, *, skipped: int = 0) -> Timeline:
    return Timeline.of_samples(published_durations(rendition), timescale=rendition.timescale, skipped=skipped)
