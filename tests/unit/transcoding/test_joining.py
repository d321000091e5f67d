"""The plan of a join: what is copied, what is encoded again, and that nothing shifts from part to part."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

import pytest

from tests.unit.transcoding.builders import FILM, NTSC, PAL, PQ, a_policy, a_source, an_audio_source
from transcoding.color import BT709, ColorRange, Matrix
from transcoding.commands.joining import TIMESCALE, join_command, part_command
from transcoding.errors import InputRejected
from transcoding.grid import STANDARD_RATES
from transcoding.planning.joining import JoinPlan, PartUnfit, plan_join
from transcoding.probing.facts import SourceFacts
from transcoding.probing.streams import AudioStream, FieldOrder

POLICY = a_policy()


def joined(*sources: SourceFacts) -> JoinPlan:
    return plan_join(sources, POLICY)


def with_video(source: SourceFacts, **changes: object) -> SourceFacts:
    return replace(source, video_stream=replace(source.video, **changes))  # type: ignore[arg-type]


def differences(*sources: SourceFacts) -> list[tuple[str, ...]]:
    return [part.differs for part in joined(*sources).parts]


HD, SMALL = a_source(), a_source(640, 360)
HEVC = with_video(HD, codec="hevc", pixel_format="yuv420p10le")


def test_h264_of_other_sizes_and_rates_is_copied() -> None:
    large = with_video(a_source(1920, 1080, rate=NTSC), color=BT709)
    assert differences(with_video(HD, color=BT709), large) == [(), ()]


@pytest.mark.parametrize(
    ("other", "names"),
    [
        (with_video(HD, codec="hevc"), ("codec",)),
        (with_video(HD, codec="mpeg4"), ("stream",)),
        (with_video(HD, pixel_format="yuv422p"), ("pixel_format",)),
        (with_video(HD, rotation=90), ("rotation",)),
        (with_video(HD, mirrored=True), ("mirrored",)),
        (with_video(HD, sample_aspect=Fraction(4, 3)), ("pixel_aspect",)),
        (with_video(HD, interlaced=True, field_order=FieldOrder.TOP_FIRST), ("field_order",)),
        (with_video(HD, color=PQ), ("color",)),
        (with_video(HD, pixel_format="yuvj420p", color=replace(BT709, range=ColorRange.FULL)), ("color",)),
        (with_video(HD, changes=True), ("stream",)),
        (with_video(HD, alpha=True), ("stream",)),
    ],
)
def test_only_the_part_that_differs_is_encoded_again(other: SourceFacts, names: tuple[str, ...]) -> None:
    assert differences(HD, other, HD) == [(), names, ()]


def test_parts_of_one_form_are_copied_whatever_it_is() -> None:
    turned = with_video(HEVC, rotation=90, color=PQ)
    assert differences(turned, turned) == [(), ()]
    vp9 = with_video(HD, codec="vp9", coded=HD.video.display)
    assert differences(vp9, vp9) == [(), ()]
    assert all(differences(vp9, with_video(a_source(640, 360), codec="vp9", coded=SMALL.video.display)))


def test_the_colors_of_most_h264_are_those_of_all() -> None:
    """Untagged video is taken for BT.709 or BT.601 by its size, as players do."""
    long, short = a_source(640, 360, frames=1000), a_source(frames=100)
    plan = joined(long, short)
    assert [part.differs for part in plan.parts] == [(), ("color",)]
    assert plan.color.matrix == Matrix.SMPTE170M
    graph = part_command(plan, plan.parts[1], "s").filter_graph or ""
    assert "zscale=matrix=smpte170m:primaries=smpte170m" in graph
    assert joined(HEVC, SMALL, a_source()).color == BT709


def test_there_is_a_slot_for_every_frame_of_the_fastest_part() -> None:
    plan = joined(a_source(rate=PAL, frames=75), a_source(rate=NTSC, frames=300), a_source(rate=FILM, frames=24))
    assert plan.rate == NTSC
    assert [(part.start, part.frames) for part in plan.parts] == [(0, 90), (90, 300), (390, 30)]


@pytest.mark.parametrize("rate", STANDARD_RATES, ids=str)
def test_nothing_adds_up_over_fifty_parts(rate: Fraction) -> None:
    sources = [a_source(rate=rate, frames=7 + number) for number in range(50)]
    plan = joined(*sources)
    assert [part.frames for part in plan.parts] == [source.total_frames for source in sources]
    assert all(one.start + one.frames == other.start for one, other in pairwise(plan.parts))
    assert sum(map(plan.samples, plan.parts)) == round(plan.duration * 48_000)
    command = join_command(plan, [f"part-{number}.mp4" for number in range(50)])
    (text,) = command.files.values()
    lasting = [Fraction(line.split()[1]) for line in text.splitlines() if line.startswith("duration")]
    assert abs(sum(lasting) - plan.duration) < Fraction(1, 1_000_000)
    assert (TIMESCALE / rate).denominator == 1


def test_a_part_without_audio_is_silent_unless_no_part_has_any() -> None:
    plan = joined(HD, a_source(silent=True))
    audible, silent = (part_command(plan, part, "s") for part in plan.parts)
    assert "[0:1]" in (audible.filter_graph or "")
    assert "anullsrc" in (silent.filter_graph or "")
    silence = joined(a_source(silent=True), a_source(silent=True))
    assert part_command(silence, silence.parts[0], "s").filter_graph is None
    assert join_command(silence, ["a", "b"]).outputs[0].maps == ("0:v:0",)


def test_surround_stays_where_every_part_with_audio_has_it() -> None:
    surround = AudioStream(index=1, codec="aac", channels=6, sample_rate=48_000, layout="5.1")
    film = replace(HD, audio=(surround,))
    plan = joined(film, a_source(silent=True))
    assert plan.surround
    assert all("channel_layouts=5.1" in (part_command(plan, part, "s").filter_graph or "") for part in plan.parts)
    assert not joined(film, HD).surround


def test_parts_whose_packets_do_not_do_are_encoded_again_and_the_others_fit_to_them() -> None:
    """One track has one codec: where one part of HEVC cannot be copied, none can."""
    plan = plan_join([HD, HD, HD], POLICY, not_copied={1})
    assert [part.differs for part in plan.parts] == [(), ("packets",), ()]
    plan = plan_join([HEVC, HEVC], POLICY, not_copied={1})
    assert [part.differs for part in plan.parts] == [("codec", "pixel_format"), ("packets",)]


def test_audio_without_video_cannot_be_joined() -> None:
    with pytest.raises(PartUnfit, match="no video") as refused:
        joined(HD, an_audio_source())
    assert refused.value.position == 1


def test_the_limits_are_those_of_the_whole_and_of_what_is_encoded_in_one_step() -> None:
    with pytest.raises(InputRejected, match="80 s together; at most 60 s"):
        plan_join([HD, HD], a_policy(max_seconds=60))
    slow = replace(POLICY, max_step_seconds=3600, assumed_pixels_per_second=100_000, max_work_seconds=10**9)
    assert plan_join([HD, HD], slow).work_seconds == 0
    with pytest.raises(PartUnfit, match="codec") as refused:
        plan_join([HD, replace(HEVC, total_frames=20_000)], slow)
    assert refused.value.position == 1
