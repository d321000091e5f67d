"""A transcoded video as players find it: the rows of its generation, and a folder with all files under their names."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

from jobs.planning.steps import planned_renditions
from storage.keys import segment_key
from tests.inputs.running import Transcoded
from tests.rows import a_video
from transcoding.manifests.hls.media import target_seconds
from transcoding.manifests.hls.rates import average_rate, peak_rate
from transcoding.manifests.names import INIT_NAME, segment_name
from videos.models import Generation, Rendition
from videos.playback.dash import generation_dash
from videos.playback.playlists import generation_master, has_iframes, rendition_iframes, rendition_playlist
from videos.runs import RunFacts, run_publish
from videos.selectors import published_keyframes
from videos.services import VerifiedRendition, generation_complete, generation_create, generation_mark_playable


def published(found: Transcoded, *, complete: bool = True) -> Generation:
    """Write the rows of a transcoded video: all runs of segments, or only the first of each rendition."""
    generation = generation_create(
        video=a_video(), job_id=uuid4(), plan=found.plan.to_json(), renditions=list(planned_renditions(found.plan))
    )
    rows = list(generation.renditions.all())
    for row in rows:
        runs = found.runs[row.name] if complete else found.runs[row.name][:1]
        run_publish(step_id=uuid4(), attempt=1, runs=[replace(run, rendition_id=row.id) for run in runs])
    generation_mark_playable(generation=generation)
    if complete:
        verified = [_verified(row, found) for row in rows]
        generation_complete(generation=generation, verified=verified)
    return Generation.objects.get(id=generation.id)


def _verified(row: Rendition, found: Transcoded) -> VerifiedRendition:
    totals, keyframes = found.totals[row.name], published_keyframes(row)
    sizes, ticks = [each.size for each in keyframes], [each.duration for each in keyframes]
    target = target_seconds(found.plan.grid.segment_seconds)
    return VerifiedRendition(
        rendition_id=row.id,
        peak_bitrate=totals.peak_bandwidth,
        avg_bitrate=totals.average_bandwidth,
        keyframe_peak_bitrate=peak_rate(sizes, ticks, timescale=row.timescale, target_seconds=target) or None,
        keyframe_avg_bitrate=average_rate(sizes, ticks, timescale=row.timescale) or None,
        size_bytes=totals.size,
        sha256="0" * 64,
    )


def write_site(generation: Generation, found: Transcoded, folder: Path) -> Path:
    """Write the manifests of a generation, as the API renders them, and its segments beside them."""
    folder.mkdir()
    (folder / "master.m3u8").write_text(generation_master(generation))
    (folder / "manifest.mpd").write_text(generation_dash(generation))
    for row in generation.renditions.all():
        (folder / row.name).mkdir()
        (folder / row.name / "index.m3u8").write_text(rendition_playlist(row))
        if has_iframes(row):
            (folder / row.name / "iframes.m3u8").write_text(rendition_iframes(row))
        _write_segments(found.runs[row.name], found, folder / row.name)
    return folder


def _write_segments(runs: Sequence[RunFacts], found: Transcoded, folder: Path) -> None:
    (folder / INIT_NAME).write_bytes(found.store.get(runs[0].init_key))
    for run in runs:
        for number, _ in enumerate(run.durations, run.first_segment):
            (folder / segment_name(number)).write_bytes(found.store.get(segment_key(run.key_prefix, number)))
