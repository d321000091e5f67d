"""The published segments of a broadcast, in memory: as many as players may have."""

from bisect import bisect_right
from collections.abc import Iterable
from fractions import Fraction
from uuid import UUID

from coordination.live_parts import Parts, StoredPart
from livestreams.playback.reading import BroadcastRows, Run, Track, WallClock
from storage.keys import segment_key
from transcoding.manifests.hls.live import listed_segments, stored_segments
from transcoding.planning.plan import EncodePlan

MAX_LAG = 3
"""Segments by which a rendition may be behind the first one: more are those that nobody makes any more."""


class TrackSegments:
    """The segments of one rendition from a number on, without a gap."""

    def __init__(self, first: int = 0) -> None:
        self.first = first
        self.ticks: list[int] = []
        self._prefixes: list[tuple[int, str]] = []
        """First segments of those whose keys begin alike."""

    @property
    def end(self) -> int:
        """Number of the segment after the last one."""
        return self.first + len(self.ticks)

    def add(self, run: Run) -> None:
        """Add the segments of a run that follow on those that are there. The first run may begin anywhere."""
        if not self.ticks:
            self.first = run.first_segment
        if run.first_segment != self.end:
            return
        if not self._prefixes or self._prefixes[-1][1] != run.key_prefix:
            self._prefixes.append((run.first_segment, run.key_prefix))
        self.ticks.extend(run.ticks)

    def forget(self, before: int) -> None:
        """Forget the segments before a number."""
        gone = min(before, self.end) - self.first
        if gone > 0:
            del self.ticks[:gone]
            self.first += gone

    def key(self, number: int) -> str | None:
        """Return the key of a segment. None: it is not there."""
        if not self.first <= number < self.end:
            return None
        found = bisect_right(self._prefixes, number, key=lambda each: each[0])
        return segment_key(self._prefixes[found - 1][1], number)


class LiveTimeline:
    """A broadcast at one moment: its rows, segments and parts."""

    def __init__(self, plan: EncodePlan, rows: BroadcastRows) -> None:
        self.plan = plan
        self.rows = rows
        self.parts: Parts = {}
        self._segments: dict[str, TrackSegments] = {}

    @property
    def tracks(self) -> list[Track]:
        """The renditions that are made, in the plan's order."""
        newest = self.end - MAX_LAG
        return [track for track in self.rows.tracks if self.segments(track.name).end >= newest]

    def track(self, name: str) -> Track | None:
        """Find a rendition that is made."""
        return next((track for track in self.tracks if track.name == name), None)

    def segments(self, name: str) -> TrackSegments:
        return self._segments.setdefault(name, TrackSegments())

    @property
    def end(self) -> int:
        """Number of the segment after the newest one of any rendition."""
        return max((each.end for each in self._segments.values() if each.ticks), default=0)

    def first_listed(self, name: str) -> int:
        """Return the first segment of a rendition that manifests list: all of them begin alike."""
        listed = listed_segments(self.rows.dvr_seconds, self.plan.grid.segment_seconds)
        return max(self.end - listed, self.rows.expired_segments, self.segments(name).first)

    def ended(self, track: Track) -> bool:
        """Tell whether a rendition has all of its segments."""
        total = track.total_segments
        return self.rows.over or (total is not None and self.segments(track.name).end >= total)

    def following(self, rows: BroadcastRows) -> dict[UUID, int]:
        """Return the first segments of these renditions that are not known yet."""
        return {each.id: max(rows.expired_segments, self.segments(each.name).end) for each in rows.tracks}

    def add(self, runs: Iterable[Run]) -> None:
        """Add published segments, and forget those that players cannot have any more."""
        names = {track.id: track.name for track in self.rows.tracks}
        for run in runs:
            self.segments(names[run.track_id]).add(run)
        stored = stored_segments(self.rows.dvr_seconds, self.plan.grid.segment_seconds)
        for each in self._segments.values():
            each.forget(max(self.end - stored, self.rows.expired_segments))

    def newest_parts(self, name: str) -> list[StoredPart]:
        """Return the parts of the segment after the last published one."""
        return list(self.parts.get(name, {}).get(self.segments(name).end, ()))

    def reached(self, name: str, segment: int, part: int | None) -> bool:
        """Tell whether a segment is published, or one of its parts is there, or nothing follows any more."""
        track, end = self.track(name), self.segments(name).end
        if track is None or segment < end or self.ended(track):
            return True
        return part is not None and segment == end and len(self.newest_parts(name)) > part

    def has_part(self, name: str, segment: int, part: int) -> bool:
        """Tell whether a part is there, or can never come."""
        track = self.track(name)
        known = len(self.parts.get(name, {}).get(segment, ())) > part
        return track is None or known or segment < self.segments(name).end or self.ended(track)

    def clock(self, segment: int) -> WallClock:
        """Return the clock of a segment: the last one that does not begin after it."""
        found = [each for each in self.rows.clocks if each.first_segment <= segment]
        return found[-1] if found else WallClock(first_segment=0, starts_at=self.rows.started_at)

    def start(self, segment: int) -> Fraction:
        """Return the time of a segment on the clock of the media, in seconds."""
        return segment * self.plan.grid.segment_seconds
