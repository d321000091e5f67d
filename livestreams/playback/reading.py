"""Rows of a broadcast that is played."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import Q

from livestreams.models import Broadcast, Period
from livestreams.states import ON_AIR_STATES
from transcoding.planning.plan import EncodePlan
from videos.models import Generation, Rendition, SegmentRun
from videos.playback.urls import playback_urls
from videos.states import GONE_STATES, HIDDEN_STATES, GenerationState, RenditionKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Playable:
    """The newest broadcast of a live stream of which there is something to play."""

    generation_id: UUID
    private: bool
    recording_hls: str = ""
    """URL of the recording once it is complete, perhaps a path without the prefix of the site. Empty: there is none."""
    recording_dash: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Track:
    """A rendition."""

    id: UUID
    name: str
    is_video: bool
    timescale: int
    init_key: str
    total_segments: int | None
    """None: its source has not ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """Segments that were published together. Lengths in ticks of the track."""

    track_id: UUID
    first_segment: int
    ticks: Sequence[int]
    key_prefix: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WallClock:
    """The time on the wall clock at which the first frame of a segment arrived; those behind it follow."""

    first_segment: int
    starts_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class BroadcastRows:
    """A broadcast as its rows have it at one moment."""

    broadcast_id: UUID
    playback_id: str
    private: bool
    dvr_seconds: int
    over: bool
    """It ended or failed: nothing will be published."""
    started_at: datetime
    expired_segments: int
    tracks: Sequence[Track]
    clocks: Sequence[WallClock]
    """In order of their segments."""


def playable_find(playback_id: str) -> Playable | None:
    """Find what players of a live stream get now. None: there is no such stream, or nothing to play of it."""
    found = (
        Broadcast.objects.filter(
            livestream__playback_id=playback_id,
            livestream__deleted_at=None,
            video__current_generation__playable_at__isnull=False,
        )
        .exclude(video__state__in=HIDDEN_STATES)
        .exclude(video__current_generation__state__in=GONE_STATES)
        .select_related("livestream", "video__current_generation")
        .order_by("-number")
        .first()
    )
    if found is None or found.video.current_generation is None:
        return None
    generation = found.video.current_generation
    hls = dash = ""
    if generation.state == GenerationState.COMPLETE and found.record:
        urls = playback_urls(None, found.video, generation)
        hls, dash = urls.hls(), urls.dash()
    return Playable(
        generation_id=generation.id, private=found.livestream.private, recording_hls=hls, recording_dash=dash
    )


def plan_read(generation_id: UUID) -> EncodePlan:
    """Read the plan of a generation. Raises Generation.DoesNotExist."""
    return Generation.objects.only("plan").get(id=generation_id).encode_plan


def broadcast_read(generation_id: UUID) -> BroadcastRows | None:
    """Read a broadcast, without its segments. None: it is not to be played any more."""
    found = (
        Broadcast.objects.filter(video__current_generation=generation_id, livestream__deleted_at=None)
        .exclude(video__state__in=HIDDEN_STATES)
        .exclude(video__current_generation__state__in=GONE_STATES)
        .select_related("livestream")
        .first()
    )
    if found is None:
        return None
    clocks = Period.objects.filter(broadcast=found).order_by("first_segment")
    return BroadcastRows(
        broadcast_id=found.id,
        playback_id=found.livestream.playback_id,
        private=found.livestream.private,
        dvr_seconds=found.livestream.dvr_seconds,
        over=found.state not in ON_AIR_STATES and found.ended_at is not None,
        started_at=found.started_at,
        expired_segments=found.expired_segments,
        tracks=_tracks(generation_id),
        clocks=[WallClock(first_segment=each.first_segment, starts_at=each.starts_at) for each in clocks],
    )


def _tracks(generation_id: UUID) -> Sequence[Track]:
    rows = Rendition.objects.filter(generation=generation_id).order_by("position")
    return [
        Track(
            id=row.id,
            name=row.name,
            is_video=row.kind == RenditionKind.VIDEO,
            timescale=row.timescale,
            init_key=row.init_key,
            total_segments=row.total_segments,
        )
        for row in rows
    ]


def runs_read(following: Mapping[UUID, int]) -> Iterable[Run]:
    """Read the published segments of tracks, of each from a number on, in order."""
    missing = Q()
    for track_id, first in following.items():
        missing |= Q(rendition=track_id, first_segment__gte=first)
    rows = SegmentRun.objects.filter(missing).order_by("first_segment")
    columns = rows.values_list("rendition_id", "first_segment", "durations", "key_prefix")
    return [Run(track_id=row[0], first_segment=row[1], ticks=row[2], key_prefix=row[3]) for row in columns]
