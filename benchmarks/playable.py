"""Time from the end of an upload until the video is playable, against bare ffmpeg for the same segments."""

import argparse
import os
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import psycopg

from benchmarks.bare import LADDER, PRESET, SEGMENT_SECONDS, one_run
from benchmarks.running import FILES, home, looped_clip, report, running
from embedded.client import Client
from embedded.stack import Stack

LENGTHS = (10, 60, 600)
"""Seconds of source."""
QUEUED = 8
"""Jobs of another video that are requested when the measured one is planned."""
PRESETS = (PRESET, "faster", "fast", "medium", "slow", "slower")
NEAR_REAL_TIME = 1.3
RENEW_SECONDS = 2
_POLL_SECONDS = 0.1
"""Of a client that does not follow the events: more often would cost the machine what is measured."""
_RUNNING = "SELECT count(*) FROM jobs_step WHERE state = 'running'"
_PUBLISHED = """
SELECT min(published) FROM (
    SELECT coalesce(sum(segment_count) FILTER (WHERE published_at <= playable_at), 0) AS published
    FROM jobs_job AS job
    JOIN videos_rendition AS rendition USING (generation_id)
    LEFT JOIN videos_segmentrun AS run ON run.rendition_id = rendition.id
    WHERE job.id = %s AND rendition.kind = 'video' GROUP BY rendition.id
) AS renditions"""

HEADER = """\
| source | preset, bare speed | segments there | playable, p50 | bare ffmpeg, p50 | difference, p50 | worst | pairs |
|---|---|---|---|---|---|---|---|"""


@dataclass(frozen=True, slots=True)
class _Case:
    """A source and what is done with it."""

    source_seconds: int
    preset: str
    speed: float
    queued: int = 0

    def row(self, pairs: Sequence[tuple[float, int, float]]) -> str:
        """Format a row of pairs of (our seconds, segments that were there, bare ffmpeg's seconds)."""
        differences = [ours - bare for ours, _, bare in pairs]
        required = sorted({segments for _, segments, _ in pairs})
        source = f"{self.source_seconds} s" + (f", {self.queued} jobs queued behind it" if self.queued else "")
        return (
            f"| {source} | {self.preset}, {self.speed:.2f} | {' or '.join(map(str, required))}"
            f" | {statistics.median(ours for ours, _, _ in pairs):.1f} s"
            f" | {statistics.median(bare for _, _, bare in pairs):.1f} s"
            f" | {statistics.median(differences):+.1f} s | {max(differences):+.1f} s | {len(pairs)} |"
        )


def measure(options: argparse.Namespace) -> str:
    """Return the table. Jobs are cancelled once they are playable."""
    stack = Stack(home(), environ={**os.environ, "TRANSCODER_LEASE_RENEW_SECONDS": str(RENEW_SECONDS)})
    with running(stack), closing(stack.client()) as client:
        rows = list(_rows(stack, client, options.pairs))
    setup = (
        "The clip of `make run`, looped, ladder of 720p, 480p and 360p. Bare ffmpeg decodes once and encodes the first"
        f" segments, of {SEGMENT_SECONDS} s each: as many as were there when the job was playable. Speeds are multiples"
        " of real time."
    )
    return "\n".join((f"{setup}\n", HEADER, *rows))


def _rows(stack: Stack, client: Client, pairs: int) -> Iterator[str]:
    _seconds_to_playable(stack, client, _Case(LENGTHS[0], PRESET, 0), looped_clip(LENGTHS[0]))  # starts the processes
    for case in _cases():
        source, measured, required = looped_clip(case.source_seconds), list[tuple[float, int, float]](), 1
        for number in range(pairs):
            bare = _bare(source, case, required) if number % 2 else 0.0
            ours, segments = _seconds_to_playable(stack, client, case, source)
            if not bare or segments != required:
                bare = _bare(source, case, segments)
            required = segments
            measured.append((ours, segments, bare))
            report(f"{case}: {ours:.1f} s for {segments} / {bare:.1f} s")
        yield case.row(measured)


def _cases() -> Iterator[_Case]:
    """The clip as it is, then with a preset near 1.3 times real time, and with one below real time."""
    speeds = _speeds()
    near, _ = _nearest(speeds)
    below = next((preset for preset in PRESETS if speeds[preset] < 1), PRESETS[-1])
    for preset in (PRESET, near, below):
        for length in LENGTHS:
            yield _Case(length, preset, speeds[preset])
        yield _Case(LENGTHS[1], preset, speeds[preset], QUEUED)


def near_real_time() -> tuple[str, float]:
    """Return the preset with which bare ffmpeg is nearest to 1.3 times real time, and that speed."""
    return _nearest(_speeds())


def _nearest(speeds: Mapping[str, float]) -> tuple[str, float]:
    return min(speeds.items(), key=lambda each: abs(each[1] - NEAR_REAL_TIME))


def _speeds() -> dict[str, float]:
    """Measure bare ffmpeg with the presets, as multiples of real time."""
    source = looped_clip(LENGTHS[0])
    seconds = 2 * SEGMENT_SECONDS
    speeds = {preset: seconds / one_run(source, LADDER, FILES, seconds=seconds, preset=preset) for preset in PRESETS}
    report(f"speeds of bare ffmpeg: {speeds}")
    return speeds


def _bare(source: Path, case: _Case, segments: int) -> float:
    return one_run(source, LADDER, FILES, seconds=segments * SEGMENT_SECONDS, preset=case.preset)


def _seconds_to_playable(stack: Stack, client: Client, case: _Case, source: Path) -> tuple[float, int]:
    """Upload and transcode a source. Returns the seconds, and the segments published by then. Raises RuntimeError."""
    other = str(client.upload(source, lambda _: None)["id"]) if case.queued else None
    video = str(client.upload(source, lambda _: None)["id"])
    uploaded = time.time()
    job = client.transcode(video, {"ladder": "auto", "preset": case.preset})
    planned = False
    while job["playable_at"] is None:
        if other and not planned and job["phase"] != "inspecting":
            planned = True
            for _ in range(case.queued):
                client.transcode(other, {"ladder": "auto", "preset": case.preset})
        if job["state"] in ("failed", "cancelled"):
            raise RuntimeError(f"job {job['id']} {job['state']}: {job['error']}")
        time.sleep(_POLL_SECONDS)
        job = client.job(job["id"])
    with psycopg.connect(stack.postgresql.url, autocommit=True) as database:
        (segments,) = database.execute(_PUBLISHED, [job["id"]]).fetchone() or (0,)
    for each in filter(None, (video, other)):
        client.delete(each)
    _until_idle(stack)
    return datetime.fromisoformat(job["playable_at"]).timestamp() - uploaded, int(segments)


def _until_idle(stack: Stack) -> None:
    """Wait until no step runs, and the ffmpeg of cancelled ones has ended."""
    with psycopg.connect(stack.postgresql.url, autocommit=True) as database:
        while database.execute(_RUNNING).fetchone() != (0,):
            time.sleep(_POLL_SECONDS)
    time.sleep(2 * RENEW_SECONDS)
