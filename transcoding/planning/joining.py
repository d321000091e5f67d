"""Joining several videos: what is copied, what has to be encoded again, and where each begins.

Video is copied packet by packet wherever one decoder can read on from one part to the next. Frames of another size may
follow then: the outputs are fitted as for any source that changes in mid-stream. Audio is decoded and kept without
loss, since only samples can be cut and filled to the length of the video; nothing is lost by that, as every output is
encoded from decoded audio.
"""

import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from fractions import Fraction

from transcoding.color import BT709, ColorRange, ColorSpace, Matrix
from transcoding.errors import InputRejected, PlanTooLarge
from transcoding.planning.plan import EncodePlan
from transcoding.planning.planner import plan_job
from transcoding.planning.request import AudioChannels, JobRequest, PlanPolicy
from transcoding.planning.tracks import AudioRendition, Mix, has_surround
from transcoding.probing.facts import SourceFacts
from transcoding.probing.streams import FieldOrder, Resolution
from transcoding.sniffing.container import FROM_BEGINNING

MIN_PARTS, MAX_PARTS = 2, 50
SAMPLE_RATE = 48_000
"""Samples per second of joined audio, as of all outputs."""
PRESET = "superfast"
"""Preset of parts that are encoded again: with a constant quality, slower ones only save bytes."""
_CONTAINERS: Mapping[str, str] = {"h264": "mp4", "hevc": "mp4", "vp9": "mp4", "av1": "mp4", "prores": "mov"}
"""The codecs that are copied, and the container that takes them. Key frames of all of them say how to decode them."""
_WITH_SIZES = frozenset({"h264", "hevc"})
"""Codecs whose parameter sets are put in front of each key frame: frames may have another size from there on."""
PACKETS = "packets"
"""Reason for which a part is encoded again whose packets would not play as it does."""
_ROUNDING = Fraction(1, 10)
"""Share of a frame that does not make another one, as in `transcoding.timeline`."""


class PartUnfit(InputRejected):
    """One of the videos cannot be joined with others."""

    def __init__(self, text: str, *, position: int) -> None:
        super().__init__(text)
        self.position = position
        """Its number among the parts, counted from 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Form:
    """Properties in which parts that are copied agree."""

    codec: str
    pixel_format: str
    size: Resolution | None
    rotation: int
    mirrored: bool
    pixel_aspect: Fraction
    field_order: FieldOrder
    color: ColorSpace | None


_PLAIN = _Form(
    codec="h264",
    pixel_format="yuv420p",
    size=None,
    rotation=0,
    mirrored=False,
    pixel_aspect=Fraction(1),
    field_order=FieldOrder.PROGRESSIVE,
    color=BT709,
)
"""The form of parts that are encoded again, but for the matrix and primaries of their colors."""
_MATRICES = frozenset({Matrix.BT709, Matrix.BT470BG, Matrix.SMPTE170M})


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinedPart:
    """One part: its place on the grid of the whole, and the plan by which it is read."""

    plan: EncodePlan
    """Has one rendition, of the size at which players show the part."""
    start: int
    """Its first frame on the grid of the whole."""
    frames: int
    """Frames of that grid until the next part begins."""
    differs: tuple[str, ...] = ()
    """Properties for which its video is encoded again. Empty: it is copied."""

    @property
    def copied(self) -> bool:
        """Tell whether its video is copied packet by packet."""
        return not self.differs

    @property
    def work_seconds(self) -> float:
        """Expected work of encoding its video again, in seconds of one worker slot."""
        return 0.0 if self.copied else self.plan.work_seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinPlan:
    """All parts in order, on a grid that has a slot for every frame of the fastest of them."""

    parts: tuple[JoinedPart, ...]
    rate: Fraction
    container: str
    color: ColorSpace
    """Colors of the parts that are encoded again: those of the others."""
    surround: bool
    """Joined audio has six channels; otherwise it is stereo."""

    @property
    def has_audio(self) -> bool:
        """Tell whether any part has audio. Those without are silent then."""
        return any(part.plan.audio for part in self.parts)

    @property
    def duration(self) -> Fraction:
        """Length of the joined video, in seconds."""
        last = self.parts[-1]
        return (last.start + last.frames) / self.rate

    @property
    def work_seconds(self) -> float:
        """Expected work of all parts, in seconds of one worker slot."""
        return sum(part.work_seconds for part in self.parts)

    def seconds(self, frame: int) -> Fraction:
        """Return the time of a frame of the grid."""
        return frame / self.rate

    def samples(self, part: JoinedPart) -> int:
        """Return the number of samples of a part: up to the one with which the next part begins."""
        return round((part.start + part.frames) * SAMPLE_RATE / self.rate) - round(part.start * SAMPLE_RATE / self.rate)

    def track(self, part: JoinedPart) -> AudioRendition | None:
        """Return the audio of a part in the channels of the whole. None: it is silent."""
        mixes = (Mix.SURROUND,) if self.surround else (Mix.NONE, Mix.STEREO)
        return next((track for track in part.plan.audio if track.mix in mixes), None)


def plan_join(
    sources: Sequence[SourceFacts], policy: PlanPolicy, *, not_copied: Collection[int] = frozenset()
) -> JoinPlan:
    """Decide how parts are joined. `not_copied` are the positions of those whose packets were found not to do.

    Raises:
        PartUnfit: A part has no video, or would take longer to encode again than a step may.
        InputRejected: The whole is longer than the installation allows.

    """
    plans = [_plan(facts, policy, position) for position, facts in enumerate(sources)]
    rate = max(plan.grid.rate for plan in plans)
    forms = [None if position in not_copied else _form(plan) for position, plan in enumerate(plans)]
    target = _target(plans, forms)
    parts: list[JoinedPart] = []
    start = 0
    for position, (plan, form) in enumerate(zip(plans, forms, strict=True)):
        differs = (PACKETS,) if position in not_copied else _different(form, target)
        frames = max(1, math.ceil(plan.grid.duration * rate - _ROUNDING))
        parts.append(JoinedPart(plan=plan, start=start, frames=frames, differs=differs))
        start += frames
    _refuse_beyond(parts, start / rate, policy)
    copied = {part.plan.source.video.codec for part in parts if part.copied}
    with_audio = [plan.source.audio[0] for plan in plans if plan.audio]
    return JoinPlan(
        parts=tuple(parts),
        rate=rate,
        container=_CONTAINERS[copied.pop() if copied else _PLAIN.codec],
        color=target.color or BT709,
        surround=bool(with_audio) and all(map(has_surround, with_audio)),
    )


def _plan(facts: SourceFacts, policy: PlanPolicy, position: int) -> EncodePlan:
    if not facts.has_video:
        raise PartUnfit("has no video, only audio; what is joined needs both or video alone", position=position)
    size = facts.video.display
    request = JobRequest(
        resolution=f"{size.width}x{size.height}", preset=PRESET, audio_channels=AudioChannels.SURROUND, two_pass=False
    )
    try:
        return plan_job(facts, request, policy)
    except InputRejected as refusal:
        raise PartUnfit(str(refusal), position=position) from refusal


def _form(plan: EncodePlan) -> _Form | None:
    """Return the form of a part. None: it cannot be copied, whatever the others are."""
    video = plan.source.video
    unsteady = video.changes or video.crop or video.alpha or video.film or video.fields_unmarked
    if video.codec not in _CONTAINERS or unsteady or plan.source.demuxer in FROM_BEGINNING or video.mirrored is None:
        return None
    return _Form(
        codec=video.codec,
        pixel_format="yuv420p" if video.pixel_format == "yuvj420p" else video.pixel_format,
        size=None if video.codec in _WITH_SIZES else video.coded,
        rotation=video.rotation,
        mirrored=video.mirrored,
        pixel_aspect=video.sample_aspect,
        field_order=video.field_order if video.interlaced else FieldOrder.PROGRESSIVE,
        color=_color(plan),
    )


def _color(plan: EncodePlan) -> ColorSpace | None:
    """Return the colors of a part, with what players assume where it does not say them."""
    color = plan.source.video.color
    return color if color and color.hdr else plan.color


def _target(plans: Sequence[EncodePlan], forms: Sequence[_Form | None]) -> _Form:
    """Return the form of all parts: the one that they have, or a plain one, in the colors that most of it has."""
    if forms[0] is not None and len(set(forms)) == 1:
        return forms[0]
    lasting: Counter[_Form] = Counter({_PLAIN: 0})
    for plan, form in zip(plans, forms, strict=True):
        if form is not None and _is_plain(form):
            lasting[form] += plan.grid.duration  # type: ignore[assignment]  # a fraction counts as well
    return max(lasting, key=lambda form: lasting[form])


def _is_plain(form: _Form) -> bool:
    color = form.color
    usual = color and color.complete and color.matrix in _MATRICES and color.range == ColorRange.LIMITED
    return bool(usual) and replace(form, color=BT709) == _PLAIN


def _different(form: _Form | None, target: _Form) -> tuple[str, ...]:
    """Return the properties in which a part differs."""
    if form is None:
        return ("stream",)
    return tuple(field.name for field in fields(_Form) if getattr(form, field.name) != getattr(target, field.name))


def _refuse_beyond(parts: Sequence[JoinedPart], seconds: Fraction, policy: PlanPolicy) -> None:
    if seconds > policy.max_seconds:
        raise InputRejected(
            f"the videos last {float(seconds):.0f} s together; at most {policy.max_seconds} s are allowed: join fewer"
        )
    for position, part in enumerate(parts):
        if part.work_seconds > policy.max_step_seconds:
            raise PartUnfit(
                f"differs from the others ({', '.join(part.differs)}), and encoding it again is expected to take"
                f" {part.work_seconds:.0f} s; {policy.max_step_seconds} s are allowed: transcode it alone",
                position=position,
            )
    if (work := sum(part.work_seconds for part in parts)) > policy.max_work_seconds:
        raise PlanTooLarge(f"joining is expected to take {work:.0f} s of work; {policy.max_work_seconds} s are allowed")
