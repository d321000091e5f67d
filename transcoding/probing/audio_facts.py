"""Facts about a source that has audio and no video."""

import math
from dataclasses import replace
from fractions import Fraction

from transcoding.errors import InputCorrupt, InputRejected
from transcoding.probing.facts import HEALTHY, Condition, SourceFacts
from transcoding.probing.media import MediaInfo
from transcoding.probing.warnings import Notice, SourceWarning
from transcoding.timeline import AudioSpan

GRID_RATE = Fraction(25)
"""Positions of the grid per second, which make segments of exactly four seconds."""
_ROUNDING = Fraction(1, 1000)
"""Seconds of audio that do not make another position: containers round times to that."""
_USUAL_ANNOUNCEMENT = Fraction(1, 10)
"""Seconds by which an announced length may be shorter than the packets and is believed: it leaves out padding."""
_MAX_SILENCE = 50
"""Seconds of outputs for each second of audio, beyond which a longer file is refused."""
_SECONDS_NEVER_INFLATED = Fraction(4000)
"""Files of up to so many seconds are never refused for that: as long as a video that never is, at this rate."""
_UNANNOUNCED = frozenset({"aac", "ac3", "amr", "dts", "eac3", "flv", "mp3", "mpeg", "mpegts", "truehd"})
"""Demuxers that estimate a length from the first bit rates: MP3 that begins quietly would seem to be hours."""
_MAX_MISSING = Fraction(1, 10)
"""Share of the announced length that may be missing before a source counts as truncated."""
_SLACK_SECONDS = Fraction(2)


def audio_facts(
    media: MediaInfo,
    *,
    demuxer: str,
    sample_shift: int | None = None,
    source: MediaInfo | None = None,
    condition: Condition = HEALTHY,
) -> SourceFacts:
    """Combine what planning needs. `source` are the streams of the uploaded file, if this is a copy of some of them.

    Raises InputRejected for a track that is empty or nearly all gap, and InputCorrupt for one that ends long before the
    file says so.
    """
    span = media.audio[0].span
    if span is None or span.end <= span.start:
        raise InputRejected("the audio track has nothing that can be decoded")
    seconds = _length(span, None if demuxer in _UNANNOUNCED else media.duration)
    if condition.missing > _MAX_MISSING:
        raise InputCorrupt(f"the file is truncated: {float(condition.missing):.0%} of it is missing")
    used = {track.source_index for track in media.audio}
    streams = tuple(replace(each, used=each.index in used) for each in (source or media).streams)
    warnings = [Notice(code=SourceWarning.NO_VIDEO)]
    if condition.missing:
        late = (media.duration or Fraction(0)) - seconds
        warnings.append(Notice(code=SourceWarning.TRUNCATED, seconds=late if late > 0 else None))
    if ignored := sum(not each.used for each in streams) + condition.left_out.tracks_not_among(streams):
        warnings.append(Notice(code=SourceWarning.STREAMS_IGNORED, count=ignored))
    return SourceFacts(
        demuxer=demuxer,
        remuxed=source is not None,
        streams=streams,
        video_stream=None,
        audio=media.audio,
        first=span.start,
        rate=GRID_RATE,
        constant=True,
        total_frames=max(1, math.ceil((seconds - _ROUNDING) * GRID_RATE)),
        warnings=(*warnings, *condition.warnings()),
        sample_shift=sample_shift,
    )


def _length(span: AudioSpan, announced: Fraction | None) -> Fraction:
    """Return the seconds from the first sample that is heard to the last one."""
    seconds = span.end - span.start
    if seconds > max(_SECONDS_NEVER_INFLATED, span.filled * _MAX_SILENCE):
        raise InputRejected(
            f"the file has {float(span.filled):.0f} s of audio, but would become {float(seconds):.0f} s"
        )
    if announced is None:
        return seconds
    if announced - span.end > max(_SLACK_SECONDS, announced * _MAX_MISSING) and announced > seconds + _SLACK_SECONDS:
        raise InputCorrupt(f"the file is truncated: {float(seconds):.1f} of {float(announced):.1f} s are there")
    return announced if 0 < seconds - announced <= _USUAL_ANNOUNCEMENT else seconds
