"""The filters that change the level of audio."""

from collections.abc import Iterator

from transcoding.loudness import CEILING, Correction

_OVERSAMPLED = 192_000
"""Samples per second among which the limiter finds peaks that lie between those of 48 kHz."""
_LOOKAHEAD_MS, _RELEASE_MS = 5, 80


def leveling_filters(correction: Correction, *, sample_rate: int) -> Iterator[str]:
    """Yield the filters for a correction of audio of this rate. Its timing stays."""
    if correction.gain:
        yield f"volume={correction.gain:g}dB"
    if correction.limited:
        limit = 10 ** (CEILING / 20)
        yield f"aresample={_OVERSAMPLED}"
        yield f"alimiter=limit={limit:.6f}:attack={_LOOKAHEAD_MS}:release={_RELEASE_MS}:level=0:latency=1"
        yield f"aresample={sample_rate}"
        yield "aformat=sample_fmts=fltp"
