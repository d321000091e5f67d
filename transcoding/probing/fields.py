"""The fields of a video as they are, from a sample of its frames.

Headers are no evidence: interlaced video is marked progressive, progressive video is marked interlaced, and DV's order
of fields is lost by whoever copies it. So each field is compared with the field of its own frame, and with those of the
frames before and after it. In a progressive frame it is like its own partner, and both others differ. In an interlaced
one it is as like the field that was taken next.

Film that was spread over the fields of video (2:3 pulldown) shows a field of the frame before again in two frames of
five, always the same two.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction

from transcoding.grid import STANDARD_RATES, usual_gap
from transcoding.probing.streams import FieldOrder, VideoStream
from transcoding.probing.timing import FrameTiming

_LINE = re.compile(
    r"\[metadata@(\w{1,16}) @ \w+\] "
    r"(?:frame:(\d{1,9})\s+pts:(-?\d{1,18})\s|lavfi\.[\w.]{1,64}=([a-z]{1,16}|\d{1,9}(?:\.\d{1,9})?)\s*$)",
    re.ASCII,
)
_CYCLE = 5
_FEW_CYCLES = 4
_APART = (2, 3)
"""Frames from the repeated top field of a cycle to the repeated bottom one: 2 in one direction, 3 in the other."""
_FEW_FRAMES = 8
"""Frames with movement below which a sample says nothing."""
_MOVED, _MOVED_LEVELS = 0.02, 0.03
"""Movement, as a share of the difference within a frame, and in levels of 8 bits, below which nothing moves."""
_INTERLACED, _PROGRESSIVE = 0.4, 0.6
"""Shares of movement that the nearer one of the other fields shows: none in interlaced video, all in progressive."""
_CLEAR, _ALIKE = 0.5, 0.1
"""Movement, as a share of the difference within a frame, below which a frame is interlaced only if the nearer one of
the other fields is hardly less like than its own: differences within a frame of fine detail are mostly that detail."""
_PANNED = 2
"""Times by which movement exceeds likeness: lines that move up or down look like those of another field."""
_DOUBLED = 0.25
"""Share of the difference within a frame that there is between its fields line by line, if each line is shown twice."""
_SURE = Fraction(1, 2)
_MIXED = Fraction(1, 20)
_ONE_SIDED = 4
"""Frames of one order for each frame of the other: noise is found in both alike."""
_STEADY = Fraction(2, 3)
_NEARLY_TWO = Fraction(7, 4)
_OF_FRAMES_ONLY = frozenset({"vp8", "vp9", "av1", "gif", "png", "apng", "webp"})
"""Codecs of computers, in which nobody has interlaced video."""
_MAX_RATE = Fraction(31)
_MAX_LINES = 1152
"""Frames per second and lines of interlaced video: 1080i, and what encoders add to it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldSample:
    """Findings about consecutive frames."""

    orders: Sequence[FieldOrder]
    """The order of fields of each frame; UNKNOWN where nothing moves."""
    repeats: Sequence[str]
    """The field of the frame before that each frame shows again: top, bottom or neither."""
    gap: int | None = None
    """Usual distance of two frames, in ticks of the video's time base."""


@dataclass
class FieldReader:
    """Collects what `fields_command` writes on stderr about one sample."""

    _values: dict[tuple[str, int], str] = field(default_factory=dict)
    """Findings by the name of the filter and the number of the frame, or field, that they are about."""
    _frames: dict[str, int] = field(default_factory=dict)
    _times: set[int] = field(default_factory=set)

    def line(self, line: str) -> None:
        """Take a line; those about anything else are ignored."""
        found = _LINE.search(line)
        if not found:
            return
        name, number, time, value = found.groups()
        if value:
            self._values[name, self._frames.get(name, 0)] = value
            return
        self._frames[name] = int(number)
        if name == "repeated":
            self._times.add(int(time))

    def sample(self) -> FieldSample:
        """Return what was collected.

        Differences are of a field and the one before it: within a frame, and to the next frame, in turn.
        """
        frames = range(1 + max((number for name, number in self._values if name == "repeated"), default=-1))
        fields = range(0, 1 + max((number for name, number in self._values if name == "bottom"), default=-1), 2)
        return FieldSample(
            orders=[self._order(number) for number in fields],
            repeats=[self._values.get(("repeated", number), "neither") for number in frames],
            gap=usual_gap(sorted(self._times)) or None,
        )

    def _order(self, number: int) -> FieldOrder:
        """Judge a frame by the numbers of its fields. What is missing is unknown."""
        slots = (("top", number), ("top", number + 1), ("bottom", number + 1), ("lines", number))
        if not all(slot in self._values for slot in slots):
            return FieldOrder.UNKNOWN
        return _order(*(float(self._values[slot]) for slot in slots))


def _order(within: float, top_next: float, bottom_next: float, lines: float) -> FieldOrder:
    """Judge a frame by the difference of its fields, and by those of either to the other one of the next frame.

    `lines` is the difference of its fields as if they were on the same lines. There is none in frames whose lines are
    all shown twice, as in games of old consoles: fields of two moments are never that alike.
    """
    near, far = sorted((top_next, bottom_next))
    moved, alike = far - within, within - near
    if moved < max(_MOVED * within, _MOVED_LEVELS):
        return FieldOrder.UNKNOWN
    if lines < _DOUBLED * within:
        return FieldOrder.PROGRESSIVE
    if moved < _PANNED * alike:
        return FieldOrder.UNKNOWN
    share = -alike / moved
    if share >= _PROGRESSIVE:
        return FieldOrder.PROGRESSIVE
    if share > (_INTERLACED if moved >= _CLEAR * within else _ALIKE):
        return FieldOrder.UNKNOWN
    return FieldOrder.TOP_FIRST if top_next < bottom_next else FieldOrder.BOTTOM_FIRST


@dataclass(frozen=True, slots=True, kw_only=True)
class Fields:
    """The measured fields of a video."""

    order: FieldOrder
    """UNKNOWN: too little moves to tell."""
    film: bool = False
    """Frames of film were spread over its fields."""

    @property
    def interlaced(self) -> bool:
        """Tell whether its frames consist of two moments each."""
        return self.order in (FieldOrder.TOP_FIRST, FieldOrder.BOTTOM_FIRST)


def measured_fields(samples: Sequence[FieldSample], *, declared: FieldOrder) -> Fields:
    """Judge samples of a video whose headers declare this. What they do not tell stays as it is declared."""
    found = Counter(order for sample in samples for order in sample.orders)
    top, bottom = found[FieldOrder.TOP_FIRST], found[FieldOrder.BOTTOM_FIRST]
    whole = found[FieldOrder.PROGRESSIVE]
    combed, seen = top + bottom, top + bottom + whole
    film = _is_film(samples)
    if seen < _FEW_FRAMES:
        return Fields(order=declared)
    order = FieldOrder.TOP_FIRST if top >= bottom else FieldOrder.BOTTOM_FIRST
    one_sided = max(top, bottom) >= _ONE_SIDED * min(top, bottom)
    declared_interlaced = Fields(order=declared).interlaced
    if film and combed and one_sided:
        return Fields(order=order, film=True)
    if combed > seen * _SURE and one_sided:
        return Fields(order=order)
    if declared_interlaced and combed > seen * _MIXED:
        return Fields(order=order if one_sided else declared)
    return Fields(order=FieldOrder.PROGRESSIVE)


def _is_film(samples: Sequence[FieldSample]) -> bool:
    """Find the pattern of 2:3 pulldown in most of the samples in which anything moves."""
    verdicts = [verdict for verdict in map(_pulldown, samples) if verdict is not None]
    return bool(verdicts) and sum(verdicts) > len(verdicts) * _STEADY


def _pulldown(sample: FieldSample) -> bool | None:
    """Tell whether a field is repeated in the same two frames of every five. None: too little moves."""
    cycles = len(sample.repeats) // _CYCLE
    if cycles < _FEW_CYCLES or sum(order is not FieldOrder.UNKNOWN for order in sample.orders) < _FEW_FRAMES:
        return None
    slots = {kind: _usual_slot(sample.repeats, kind) for kind in ("top", "bottom")}
    steady = all(count >= cycles * _STEADY for _, count in slots.values())
    return steady and (slots["top"][0] - slots["bottom"][0]) % _CYCLE in _APART


def _usual_slot(repeats: Sequence[str], kind: str) -> tuple[int, int]:
    """Return the position in cycles of five at which this is repeated most often, and how often it is there."""
    slots = Counter(number % _CYCLE for number, repeat in enumerate(repeats) if repeat == kind)
    return max(slots.items(), key=lambda slot: slot[1], default=(0, 0))


def may_be_interlaced(video: VideoStream, rate: Fraction) -> bool:
    """Tell whether a video is worth a look: it says that it is interlaced, or could be without saying so."""
    if video.interlaced:
        return True
    lines = (video.coded or video.display).height
    return video.codec not in _OF_FRAMES_ONLY and not video.rotation and rate <= _MAX_RATE and lines <= _MAX_LINES


def marked(video: VideoStream, found: Fields) -> VideoStream:
    """Return the track with its measured fields. Frames that say something else are marked again when they are read."""
    if not found.interlaced:
        return replace(video, interlaced=False, field_order=found.order)
    unmarked = found.order is not video.field_order
    return replace(video, interlaced=True, field_order=found.order, fields_unmarked=unmarked, film=found.film)


def of_whole_frames(timing: FrameTiming, samples: Sequence[FieldSample], time_base: Fraction) -> FrameTiming:
    """Return the timing of frames, where packets are fields: there are twice as many of them as frames come out."""
    gaps = {sample.gap for sample in samples if sample.gap}
    rate = timing.rate / 2
    if not gaps or rate not in STANDARD_RATES or any(gap * time_base * timing.rate < _NEARLY_TWO for gap in gaps):
        return timing
    return replace(timing, rate=rate, total_frames=-(-timing.total_frames // 2))
