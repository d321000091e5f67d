"""Bitstream filters that mend times while streams are copied."""

from collections.abc import Collection, Sequence
from fractions import Fraction

from transcoding.probing.clock import Clock, Shift
from transcoding.probing.clock_packets import FARTHEST, MICROSECONDS
from transcoding.probing.program_times import NONE_LATE, LateFrames, Move

UNPACK_B_FRAMES = "mpeg4_unpack_bframes"
"""Filter that splits packets of two MPEG-4 frames: AVI with packed B-frames has those, and an empty frame for each."""

ORDERED_CODECS = frozenset({"h264", "hevc"})
"""Codecs whose frames the demuxer of AVI does not tell apart: it would show each when the next one is decoded."""
BY_DECODING = "setts=pts=DTS"
"""Filter for those whose headers cannot be read: right where frames are shown in the order in which they are decoded.
ffmpeg's own filter for the others, `dts2pts`, repeats and drops some of them."""

_NO_TIME = "-1e18"
"""Below every time of a packet, above the number that stands for none."""


FILTERS_LATE = ("4.", "5.")
"""Versions of ffmpeg that filter packets whose times are already those of the output, and call them the input's."""
_MATROSKA_TICKS = 1000
"""Ticks in a second of Matroska, as ffmpeg writes it."""
_POSITION = 0
"""Number of the variable of an expression that holds the offset of the latest packet: it lasts from one to the next."""


WITH_POSITIONS = (
    f"setts=dts='st({_POSITION},if(lt(POS,0),ld({_POSITION}),POS))'"
    f":pts='{FARTHEST}+if(lt(PTS,{_NO_TIME}),DTS,PTS)'"
    f":duration='{FARTHEST}+if(lt(DTS,{_NO_TIME}),PTS,DTS)'"
)
"""Filter for packets that are only listed: each says its offset in the file as its time of decoding, which ffmpeg does
not let go back, its time of presentation behind `FARTHEST`, and as its length the time of decoding."""


def decoded_every(step: Fraction, lag: int) -> str:
    """Return the filter for a stream that has times of presentation alone, in milliseconds.

    A frame is decoded every `step`, and at most `lag` later than it is shown.
    """
    return f"setts=pts=PTS:dts=N*{step.numerator}/{step.denominator}-({lag})"


def shift_filters(
    clock: Clock,
    *,
    videos: Sequence[int],
    audio: Sequence[int],
    decoded: Collection[int] = (),
    late: bool = False,
) -> dict[str, str | None]:
    """Return the output options that shift packets of the source; none where nothing is shifted.

    `videos` and `audio` are the streams of the source in the order in which they are mapped. Those that
    are `decoded` have no offsets any more, but one packet for each of the source. `late`: see `FILTERS_LATE`.
    """
    names = {index: f"{kind}:{n}" for kind, found in (("v", videos), ("a", audio)) for n, index in enumerate(found)}
    filters: dict[str, str | None] = {}
    for index, name in names.items():
        frames = clock.late if index == clock.video else NONE_LATE
        shifts = clock.shifts.get(index, ())
        if shifts or frames:
            filters[f"bsf:{name}"] = _shifting(shifts, frames, late=late, decoded=index in decoded)
    return {**filters, **({"copyinkf": None} if clock.late else {})}  # so that all frames are counted


def _shifting(shifts: Sequence[Shift], frames: LateFrames, *, late: bool, decoded: bool) -> str:
    """Return a filter for one stream. Packets that begin in the middle of another one have that one's offset."""
    ticks = f"{MICROSECONDS // _MATROSKA_TICKS}" if late else f"{MICROSECONDS}/TB"
    later = f"({_later([Shift(0, 0), *shifts], decoded=decoded)})/{ticks}"
    at = f"0*st({_POSITION},if(lt(POS,0),ld({_POSITION}),POS))"
    times = (
        f"{time.lower()}='{at}+if(lt({time},{_NO_TIME}),{time},{time}+{later}{_moving(moves, ticks)})'"
        for time, moves in (("PTS", frames.shown), ("DTS", frames.decoded))
    )
    return f"setts={':'.join(times)}"


def _moving(moves: Sequence[Move], ticks: str) -> str:
    return f"+{_single(moves)}/{ticks}" if moves else ""


def _single(moves: Sequence[Move]) -> str:
    """Return an expression for the microseconds of single packets, by their number: halves, as in `_later`."""
    if len(moves) == 1:
        return f"eq(N,{moves[0].number})*{moves[0].microseconds}"
    middle = len(moves) // 2
    return f"if(lt(N,{moves[middle].number}),{_single(moves[:middle])},{_single(moves[middle:])})"


def _later(shifts: Sequence[Shift], *, decoded: bool) -> str:
    """Return an expression for the microseconds: halves, so that hundreds of shifts are nested a few deep."""
    if len(shifts) == 1:
        return str(shifts[0].microseconds)
    middle = len(shifts) // 2
    before, behind = (_later(half, decoded=decoded) for half in (shifts[:middle], shifts[middle:]))
    where = f"N,{shifts[middle].number}" if decoded else f"ld({_POSITION}),{shifts[middle].position}"
    return f"if(lt({where}),{before},{behind})"
