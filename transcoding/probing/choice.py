"""The rule which of the streams of a file are its video and its audio.

**Video.** What is no cover, and no still beside a film, comes first; of these, tracks whose codec is accepted; then the
one that is marked as the default; then the largest frames; then the longest; then the first one in the file.

**Audio.** Only tracks whose codec is accepted count. Commentary and descriptions come last; then it is the one that is
marked as the default, the one with more channels, the longest, the first one in the file.

A request may name others by their numbers.
"""

from collections.abc import Iterable, Sequence
from fractions import Fraction

from transcoding.probing.streams import StreamFacts, StreamKind

_STILL_SECONDS = Fraction(1, 5)
"""Length up to which a track beside a longer one is a still."""


def videos_in_order(streams: Iterable[StreamFacts]) -> list[int]:
    """Return the indexes of the tracks of moving video, the chosen one first. Covers are none, whatever their codec."""
    videos = [each for each in streams if each.kind is StreamKind.VIDEO and each.size and not each.cover]
    return [each.index for each in sorted(videos, key=lambda each: _video_rank(each, videos))]


def audio_in_order(streams: Iterable[StreamFacts]) -> list[int]:
    """Return the indexes of the audio tracks that can be decoded, the chosen one first."""
    tracks = [each for each in streams if each.kind is StreamKind.AUDIO and each.sample_rate > 0 and each.decodable]
    return [each.index for each in sorted(tracks, key=_audio_rank)]


def _video_rank(video: StreamFacts, videos: Sequence[StreamFacts]) -> tuple[object, ...]:
    return (
        _is_still(video) and not all(map(_is_still, videos)),
        not video.decodable,
        not video.default,
        -(video.size.pixels if video.size else 0),
        -(video.duration or 0),
        video.index,
    )


def _audio_rank(track: StreamFacts) -> tuple[object, ...]:
    return (track.accessory, not track.default, -track.channels, -(track.duration or 0), track.index)


def _is_still(video: StreamFacts) -> bool:
    return video.frames == 1 or (video.duration is not None and video.duration <= _STILL_SECONDS)
