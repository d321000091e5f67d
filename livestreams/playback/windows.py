"""Values that manifests of a live stream render, from a timeline."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from fractions import Fraction

from coordination.live_parts import StoredPart
from livestreams.playback.reading import Track, WallClock
from livestreams.playback.timeline import MAX_LAG, LiveTimeline
from transcoding.encoders.traits import AudioEncoder
from transcoding.manifests.dash.live import LiveClock, LivePeriod, live_manifest
from transcoding.manifests.dash.timeline import Timeline
from transcoding.manifests.hls.live import LiveEdge, LiveSegment, LiveWindow, LowLatency, Part, live_playlist
from transcoding.manifests.hls.master import master_playlist
from transcoding.manifests.hls.media import target_seconds
from transcoding.manifests.names import part_name
from transcoding.manifests.planned import NOT_MEASURED, planned_presentation

TIME_URL = "../time"
"""URL of the time, relative to the manifest of DASH."""


def live_master(timeline: LiveTimeline, folder: str) -> str:
    """Render the master playlist. `folder` is the URL of the broadcast's files, relative to it."""
    named = {track.name: NOT_MEASURED for track in timeline.tracks}
    return master_playlist(planned_presentation(timeline.plan, named).in_folder(folder))


def live_media(timeline: LiveTimeline, track: Track, *, skip: bool) -> str:
    """Render the playlist of a rendition, with `skip` as a delta update."""
    first, segments = timeline.first_listed(track.name), timeline.segments(track.name)
    low_latency, ended = _low_latency(timeline, track), timeline.ended(track)
    dated = {first, *(each.first_segment for each in timeline.rows.clocks)}
    listed = [
        LiveSegment(
            duration=Fraction(ticks, track.timescale),
            starts_at=_starts_at(timeline, number) if number in dated else None,
            parts=_parts(timeline, track, number, ticks) if low_latency else (),
        )
        for number, ticks in enumerate(segments.ticks[first - segments.first :], first)
    ]
    window = LiveWindow(
        first_segment=first,
        segments=listed,
        target_seconds=target_seconds(timeline.plan.grid.segment_seconds),
        ended=ended,
        low_latency=low_latency,
    )
    return live_playlist(window, skip=skip)


def live_dash(timeline: LiveTimeline, base: str) -> str:
    """Render the manifest of DASH. `base` is the URL of the broadcast's files, relative to it."""
    tracks, clocks = timeline.tracks, list(_clocks(timeline))
    ended = all(timeline.ended(track) for track in tracks)
    first = max(timeline.first_listed(track.name) for track in tracks)
    now = datetime.now(UTC)
    return live_manifest(
        [_period(timeline, clock, following) for clock, following in clocks],
        started_at=timeline.clock(0).starts_at,
        base=base,
        segment_seconds=timeline.plan.grid.segment_seconds,
        clock=None if ended else LiveClock(now=now, window=_window(timeline, first, now), url=TIME_URL),
    )


def _window(timeline: LiveTimeline, first: int, now: datetime) -> Fraction:
    """Return the seconds on the wall clock that players can go back, to reach the first listed segment.

    It is more than the listed media where a worker was lost, or the publisher stood still or is slower than its clock.
    """
    listed = timeline.start(timeline.end) - timeline.start(first)
    since = Fraction(round((now - _starts_at(timeline, first)).total_seconds() * 1000), 1000)
    return max(listed, since)


def _starts_at(timeline: LiveTimeline, segment: int) -> datetime:
    """Return the time of a segment on the wall clock."""
    clock = timeline.clock(segment)
    since = timeline.start(segment) - timeline.start(clock.first_segment)
    return clock.starts_at + timedelta(seconds=float(since))


def _low_latency(timeline: LiveTimeline, track: Track) -> LowLatency | None:
    frames = timeline.plan.part_frames
    if frames is None or not timeline.parts:
        return None
    audio = [each.encoder for each in timeline.plan.audio]
    longest_frame = max((Fraction(each.frame_samples, each.sample_rate) for each in audio), default=Fraction(0))
    newest = timeline.newest_parts(track.name)
    return LowLatency(
        part_target=frames / timeline.plan.grid.rate + longest_frame,
        parts=[_part(track, part) for part in newest],
        hint=_hint(timeline, track, newest),
        edges={each.name: _edge(timeline, each.name) for each in timeline.tracks if each.name != track.name},
    )


def _parts(timeline: LiveTimeline, track: Track, segment: int, ticks: int) -> Sequence[Part]:
    """Return the parts of a published segment, unless they are those of a worker that did not publish it."""
    found = timeline.parts.get(track.name, {}).get(segment, ())
    if sum(part.ticks for part in found) != ticks:
        return ()
    return [_part(track, part) for part in found]


def _part(track: Track, part: StoredPart) -> Part:
    return Part(
        name=part_name(part.segment, part.index, part.attempt),
        duration=Fraction(part.ticks, track.timescale),
        independent=part.independent,
    )


def _hint(timeline: LiveTimeline, track: Track, newest: Sequence[StoredPart]) -> str:
    """Return the name of the next part of the worker that makes them. Empty: none is known."""
    end = timeline.segments(track.name).end
    known = newest or timeline.parts.get(track.name, {}).get(end - 1, ())
    if not known:
        return ""
    whole = sum(part.ticks for part in newest) >= _segment_ticks(timeline, track, end)
    segment, index = (end + 1, 0) if whole else (end, len(newest))
    return part_name(segment, index, known[-1].attempt)


def _segment_ticks(timeline: LiveTimeline, track: Track, segment: int) -> int:
    """Return the length of a segment that is not the last one, in ticks."""
    if track.is_video:
        return timeline.plan.grid.segment_frames * timeline.plan.grid.frame_ticks
    return _audio_start(timeline, track, segment + 1) - (_audio_start(timeline, track, segment) if segment else 0)


def _edge(timeline: LiveTimeline, name: str) -> LiveEdge:
    end, newest = timeline.segments(name).end, timeline.newest_parts(name)
    if newest:
        return LiveEdge(segment=end, part=len(newest) - 1)
    parts = timeline.parts.get(name, {}).get(end - 1, ())
    return LiveEdge(segment=end - 1, part=len(parts) - 1 if parts else None)


def _clocks(timeline: LiveTimeline) -> Iterator[tuple[WallClock, int | None]]:
    """Yield the clocks of listed segments, each with the first segment of the next one, if there is one."""
    first = max(timeline.first_listed(track.name) for track in timeline.tracks)
    starts = [timeline.clock(first)]
    starts += [each for each in timeline.rows.clocks if starts[0].first_segment < each.first_segment < timeline.end]
    yield from zip(starts, [*(each.first_segment for each in starts[1:]), None], strict=True)


def _period(timeline: LiveTimeline, clock: WallClock, following: int | None) -> LivePeriod:
    end = timeline.end if following is None else following
    tracks = [track for track in timeline.rows.tracks if timeline.segments(track.name).end >= end - MAX_LAG]
    spans = {track.name: _span(timeline, track, clock.first_segment, end) for track in tracks}
    named = {name: NOT_MEASURED for name, span in spans.items() if span.durations}
    duration: Fraction | None = None
    if following is not None:
        duration = timeline.start(following) - timeline.start(clock.first_segment)
    elif all(timeline.ended(track) for track in tracks):
        spans_ = [span for span in spans.values() if span.durations]
        duration = max(Fraction(span.start + sum(span.durations) - span.offset, span.timescale) for span in spans_)
    return LivePeriod(
        id=str(clock.first_segment),
        starts_at=clock.starts_at,
        presentation=planned_presentation(timeline.plan, named),
        timelines=spans,
        duration=duration,
    )


def _span(timeline: LiveTimeline, track: Track, begins: int, end: int) -> Timeline:
    """Return the listed segments of a rendition in a Period that begins with a segment, up to another one."""
    segments = timeline.segments(track.name)
    first = max(begins, timeline.first_listed(track.name))
    ticks = segments.ticks[first - segments.first : max(first, end) - segments.first]
    if track.is_video:
        frame_ticks = timeline.plan.grid.segment_frames * timeline.plan.grid.frame_ticks
        start, offset = first * frame_ticks, begins * frame_ticks
    else:
        priming = _encoder(timeline, track).priming_samples
        start = max(0, _audio_start(timeline, track, first) - priming)
        offset = round(timeline.start(begins) * track.timescale)
        if first == 0 and ticks:
            ticks = [ticks[0] - priming, *ticks[1:]]
    return Timeline(timescale=track.timescale, durations=tuple(ticks), first_segment=first, start=start, offset=offset)


def _audio_start(timeline: LiveTimeline, track: Track, segment: int) -> int:
    """Return the decode tick at which a segment of audio starts."""
    return _encoder(timeline, track).boundary(timeline.start(segment))


def _encoder(timeline: LiveTimeline, track: Track) -> AudioEncoder:
    return next(each.encoder for each in timeline.plan.audio if each.name == track.name)
