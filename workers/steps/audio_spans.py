"""The time that audio tracks fill, measured while a source is inspected."""

import logging
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import zip_longest

from transcoding.errors import InputRejected, ResourceExceeded
from transcoding.probing.audio_timing import AudioMeter
from transcoding.probing.streams import AudioStream

_MAX_PACKETS = 1_500_000
"""About ten seconds of processor time; eight tracks of an hour of AAC have 1.35 million."""

log = logging.getLogger(__name__)


def with_spans(
    tracks: Sequence[AudioStream], meters: Sequence[AudioMeter], lines: Callable[[AudioStream], Iterator[str]]
) -> tuple[AudioStream, ...]:
    """Measure tracks by ffprobe's `lines` about them, but for the first ones, of which `meters` have seen all packets.

    No more tracks are measured when those before them have `_MAX_PACKETS` together.
    """
    measured, packets = list(meters), sum(meter.count for meter in meters)
    for track in tracks[len(meters) :]:
        if packets < _MAX_PACKETS:
            meter = _measured(track, lines(track))
            packets += meter.count
            measured.append(meter)
    spans = [meter.span for meter in measured]
    return tuple(replace(track, span=span) for track, span in zip_longest(tracks, spans))


def _measured(track: AudioStream, lines: Iterator[str]) -> AudioMeter:
    """Walk all packets of a track. One that cannot be read has the time of the packets so far."""
    meter = AudioMeter.of(track)
    try:
        deque(meter.packets(lines), maxlen=0)
    except ResourceExceeded:
        raise
    except InputRejected as refusal:
        log.info("audio not measured", extra={"event": "audio_not_measured", "reason": str(refusal)})
    return meter
