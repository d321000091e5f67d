"""The rule which of the streams of a file are its video and its audio.

**Video.** What is no cover, and no still beside a film, comes first; of these, tracks whose codec is accepted; then the
one that is marked as the default; then the largest frames; then the longest; then the first one in the file.

**Audio.** Only tracks whose codec is accepted count. Commentary and descriptions come last; then it is the one that is
marked as the default, the one with more channels, the longest, the first one in the file.

A request may name others by their numbers.
"""

from collections.abc import Collection, Iterable
from fractions import Fraction

from transcoding.probing.streams import StreamFacts, StreamKind

_SHORTER = Fraction(1, 10)
_SLACK_SECONDS = Fraction(2)
"""A track is short if more than this, and more than that share, is missing to the longest one."""
_STILL_SECONDS = Fraction(1, 5)
"""Length up to which a track beside a longer one is a still."""


def videos_in_order(streams: Iterable[StreamFacts]) -> list[int]:
    """Return the indexes of the tracks of moving video, the chosen one first. Covers are none, whatever their codec."""
    videos = [each for each in streams if each.kind is StreamKind.VIDEO and each.size and not each.cover]
    film = not all(map(_is_still, videos))
    length = _length(videos)

    def rank(video: StreamFacts) -> tuple[object, ...]:
        return (
            film and _is_still(video),
            not video.decodable,
            not video.default,
            -(video.size.pixels if video.size else 0),
            _is_short(video, length),
            video.index,
        )

    return [each.index for each in sorted(videos, key=rank)]


def audio_in_order(streams: Iterable[StreamFacts]) -> list[int]:
    """Return the indexes of the audio tracks that can be decoded, the chosen one first."""
    tracks = [each for each in streams if each.kind is StreamKind.AUDIO and each.sample_rate > 0 and each.decodable]
    length = _length(tracks)

    def rank(track: StreamFacts) -> tuple[object, ...]:
        return (track.accessory, not track.default, -track.channels, _is_short(track, length), track.index)

    return [each.index for each in sorted(tracks, key=rank)]


def _length(streams: Collection[StreamFacts]) -> Fraction:
    return max((each.duration or Fraction(0) for each in streams), default=Fraction(0))


def _is_short(stream: StreamFacts, length: Fraction) -> bool:
    """Tell whether a track is clearly shorter than the longest one: lengths of equal tracks differ by packets."""
    return stream.duration is not None and length - stream.duration > max(_SLACK_SECONDS, length * _SHORTER)


def _is_still(video: StreamFacts) -> bool:
    return video.frames == 1 or (video.duration is not None and video.duration <= _STILL_SECONDS)
