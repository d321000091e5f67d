"""Filters that make frames whole, upright and alike, in their order."""

import re
from dataclasses import replace
from fractions import Fraction

import pytest

from tests.unit.transcoding.builders import NTSC, a_policy, a_source
from transcoding.color import ColorSpace, Transfer
from transcoding.commands.chunk import chunk_command
from transcoding.encoders import ENCODERS, HardwarePath
from transcoding.planning.encodings import EncoderChoice
from transcoding.planning.planner import plan_job
from transcoding.planning.request import JobRequest
from transcoding.probing.facts import SourceFacts
from transcoding.probing.streams import Crop, FieldOrder, Resolution

BWDIF = "bwdif=mode=send_frame:deint=interlaced"
USUAL = "eq(iw,640)*eq(ih,360)+lt(abs(dar/1.777778-1),0.01)"


def fitted(*, lines: int = 2, options: str = "") -> list[str]:
    """Filters that fit frames of another shape into one of 640x360, unless all are that large."""
    return [
        (
            f"scale=w='if({USUAL},640,max(2,min(640,2*round(640*min(1,dar/1.777778)/2))))'"
            f":h='if({USUAL},360,max(2,min(360,{lines}*round(360*min(1,1.777778/dar)/{lines}))))'"
            f":eval=frame:flags=bicubic{options}"
        ),
        f"pad=640:360:x='2*trunc((ow-iw)/4)':y='{lines}*trunc((oh-ih)/{2 * lines})':eval=frame",
        "setsar=1/1",
    ]


FIELDS_FITTED = fitted(lines=4, options=":interl=-1")


def inspected(width: int = 640, height: int = 360, **fields: object) -> SourceFacts:
    """A source of which the size of its frames is known."""
    facts = a_source(width, height)
    video = replace(facts.video, coded=Resolution(width=width, height=height))
    return replace(facts, video_stream=replace(video, **fields))  # type: ignore[arg-type]


def parts(facts: SourceFacts, *, first_segment: int = 0, deinterlace: str | None = None) -> tuple[list[str], list[str]]:
    """The filters in front of the rungs, without that of captions, and those of the rung, of a chunk."""
    plan = plan_job(facts, JobRequest(resolution="360p", deinterlace=deinterlace), a_policy())
    graph = chunk_command(plan, "/s/x", first_segment=first_segment, segments=1).filter_graph or ""
    front, rung = graph.split(";")
    captions, *others = _split(front)
    assert captions.endswith("]sidedata=mode=delete:type=A53_CC")
    return others, _split(rung)


def _split(chain: str) -> list[str]:
    """Split a chain at the commas that stand in no expression."""
    filters, quoted = [""], False
    for letter in chain:
        quoted ^= letter == "'"
        if letter == "," and not quoted:
            filters.append("")
        else:
            filters[-1] += letter
    return filters


def names(filters: list[str]) -> list[str]:
    return [re.sub(r"\[\w+(:\d+)?\]", "", each).partition("=")[0] for each in filters]


def test_an_ordinary_frame_passes_unchanged_to_the_scaler() -> None:
    front, rung = parts(inspected())
    assert names(front) == ["setpts", "fps", "setpts", "sidedata", "split"]
    assert rung[:2] == [
        (
            "[in0]scale=w='if(eq(iw,640)*eq(ih,360)+lt(abs(dar/1.777778-1),0.01),640,"
            "max(2,min(640,2*round(640*min(1,dar/1.777778)/2))))'"
            ":h='if(eq(iw,640)*eq(ih,360)+lt(abs(dar/1.777778-1),0.01),360,"
            "max(2,min(360,2*round(360*min(1,1.777778/dar)/2))))':eval=frame:flags=bicubic:out_range=tv"
        ),
        "pad=640:360:x='2*trunc((ow-iw)/4)':y='2*trunc((oh-ih)/4)':eval=frame",
    ]


@pytest.mark.parametrize(
    ("rotation", "mirrored", "turns"),
    [
        (90, False, ["transpose=clock"]),
        (180, False, ["hflip", "vflip"]),
        (270, False, ["transpose=cclock"]),
        (0, True, ["hflip"]),
        (90, True, ["hflip", "transpose=clock"]),
    ],
)
def test_frames_are_turned_when_they_are_alike(rotation: int, mirrored: bool, turns: list[str]) -> None:  # noqa: FBT001
    front, _ = parts(inspected(rotation=rotation, mirrored=mirrored))
    assert front[1:4] == fitted()
    assert front[4].startswith("fps=")
    assert [each for each in front if each.startswith(("transpose", "hflip", "vflip"))] == turns


def test_the_size_that_is_expected_is_that_of_turned_frames() -> None:
    facts = inspected(rotation=90)
    facts = replace(facts, video_stream=replace(facts.video, display=Resolution(width=360, height=640)))
    _, rung = parts(facts)
    assert "if(eq(iw,360)*eq(ih,640)+lt(abs(dar/0.562500-1),0.01),360," in rung[0]


def test_frames_of_another_shape_are_fitted_into_the_usual_one_first() -> None:
    front, _ = parts(inspected(720, 576, changes=True, sample_aspect=Fraction(64, 45), interlaced=True))
    assert names(front)[:5] == ["setpts", "scale", "pad", "setsar", "bwdif"]
    assert "lt(abs(dar/1.777778-1),0.01)" in front[1]
    assert "min(576,4*round(576*min(1,1.777778/dar)/4))" in front[1]
    assert front[1].endswith(":eval=frame:flags=bicubic:interl=-1")
    assert front[2].startswith("pad=720:576:x='2*trunc((ow-iw)/4)':y='4*trunc((oh-ih)/8)'")
    assert front[3] == "setsar=64/45"


def test_frames_of_odd_sizes_have_no_room_for_bars() -> None:
    front, _ = parts(inspected(641, 361, rotation=90))
    assert front[1] == "scale=641:361:flags=bicubic"


def test_what_a_container_crops_is_cut_off_once() -> None:
    front, _ = parts(inspected(620, 340, crop=Crop(left=5, right=15, top=20)))
    assert front[1:3] == [
        "scale=w='if(eq(iw,620),iw,640)':h='if(eq(ih,340),ih,360)':eval=frame:flags=bicubic",
        "crop=620:340:x='if(gt(iw,620),5,0)':y='if(gt(ih,340),20,0)':exact=1",
    ]


def test_high_range_is_mapped_of_frames_that_are_alike() -> None:
    front, _ = parts(inspected(color=ColorSpace(transfer=Transfer.PQ)))
    assert front[1:4] == fitted()


def test_fields_become_frames_before_they_are_put_on_the_grid() -> None:
    front, _ = parts(inspected(interlaced=True))
    assert front[1:6] == [*FIELDS_FITTED, BWDIF, "fps=25/1:start_time=0.000000"]
    front, _ = parts(inspected(interlaced=True), deinterlace="field")
    assert front[4:6] == ["bwdif=mode=send_field:deint=interlaced", "fps=50/1:start_time=0.000000"]


@pytest.mark.parametrize(("order", "name"), [(FieldOrder.TOP_FIRST, "tff"), (FieldOrder.BOTTOM_FIRST, "bff")])
def test_fields_are_marked_where_frames_do_not_say_what_they_are(order: FieldOrder, name: str) -> None:
    front, _ = parts(inspected(interlaced=True, fields_unmarked=True, field_order=order))
    assert front[4:6] == [f"setfield={name}", BWDIF]


@pytest.mark.parametrize(("segment", "start"), [(0, "0.000000"), (1, "3.670333"), (3, "11.678333")])
def test_cycles_of_film_are_counted_from_the_first_frame_of_the_video(segment: int, start: str) -> None:
    """Segments are 96 frames of film, 24 cycles of five frames of video; a chunk begins two cycles before its own."""
    facts = replace(inspected(interlaced=True, film=True, field_order=FieldOrder.TOP_FIRST), rate=NTSC)
    front, _ = parts(facts, first_segment=segment)
    assert front[4:13] == [
        "setpts=PTS-(0/1)/TB",
        f"fps=30000/1001:start_time={start}",
        "tpad=stop=5:stop_mode=clone",
        "fieldmatch=order=tff:combmatch=full",
        BWDIF,
        "settb=1001/120000",
        "decimate=cycle=5",
        "setpts=PTS+(0/1)/TB",
        f"fps=24000/1001:start_time={segment * 4.004:.6f}",
    ]


@pytest.mark.parametrize(
    "fields",
    [
        {"rotation": 90},
        {"mirrored": True},
        {"changes": True},
        {"crop": Crop(top=2)},
        {"interlaced": True, "fields_unmarked": True},
    ],
    ids=str,
)
def test_devices_get_such_frames_from_memory(fields: dict[str, object]) -> None:
    policy = replace(a_policy(), hardware_path=HardwarePath.DEVICE)
    nvenc = ENCODERS["h264_nvenc"]
    assert (
        plan_job(inspected(), JobRequest(), policy, encoders=[EncoderChoice(encoder=nvenc)]).encodings[0].hardware_path
        is HardwarePath.DEVICE
    )
    odd = inspected()
    odd = replace(odd, video_stream=replace(odd.video, **fields))  # type: ignore[arg-type]
    plan = plan_job(odd, JobRequest(), policy, encoders=[EncoderChoice(encoder=nvenc)])
    assert plan.encodings[0].hardware_path is HardwarePath.UPLOAD


@pytest.mark.parametrize("deinterlace", [None, "field"])
def test_a_device_makes_frames_but_not_field_rates(deinterlace: str | None) -> None:
    policy = replace(a_policy(), hardware_path=HardwarePath.DEVICE)
    request = JobRequest(deinterlace=deinterlace)
    plan = plan_job(
        inspected(interlaced=True), request, policy, encoders=[EncoderChoice(encoder=ENCODERS["h264_nvenc"])]
    )
    assert plan.encodings[0].hardware_path is (HardwarePath.UPLOAD if deinterlace else HardwarePath.DEVICE)
