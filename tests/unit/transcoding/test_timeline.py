"""Beginning and end of outputs, and the filters of the chunks that lie beside the source's frames."""

from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.transcoding.builders import PAL, a_policy, a_source, some_audio
from transcoding.commands.audio import audio_command
from transcoding.commands.chunk import chunk_command, read_until, seek_time
from transcoding.encoders import ENCODERS, HardwarePath
from transcoding.errors import InputRejected
from transcoding.explanation.reasons import explain
from transcoding.grid import STANDARD_RATES
from transcoding.planning.encodings import EncoderChoice
from transcoding.planning.plan import EncodePlan
from transcoding.planning.planner import plan_job
from transcoding.planning.request import JobRequest
from transcoding.probing.facts import SourceFacts
from transcoding.probing.warnings import Notice, SourceWarning
from transcoding.timeline import AudioSpan, Hold, Timeline, VideoSpan, hold_for, seconds_late, seconds_outside

NEVER_CUT = VideoSpan(first=Fraction(10), rate=PAL, frames=100)
"""From 10 s to 14 s."""


def a_span(start: object, end: object, *, filled: object = None, delay: object = 0) -> AudioSpan:
    length = Fraction(str(end)) - Fraction(str(start))
    return AudioSpan(
        start=Fraction(str(start)),
        end=Fraction(str(end)),
        filled=length if filled is None else Fraction(str(filled)),
        delay=Fraction(str(delay)),
    )


@pytest.mark.parametrize(
    ("span", "hold"),
    [
        (None, Hold()),
        (a_span(10, 14), Hold()),
        (a_span(12, 13), Hold()),
        (a_span("9.96", 14), Hold()),  # a frame early, no more
        (a_span("9.95", 14), Hold(before=2)),
        (a_span("9.5", 14), Hold(before=13)),  # 12.5 frames: silence for half of one
        (a_span("9.92", 14, delay="0.044"), Hold()),  # priming that no container tells apart
        (a_span("9.9", 14, delay="0.044"), Hold(before=3)),
        (a_span(10, "14.1"), Hold()),  # padding
        (a_span(10, "14.11"), Hold(after=3)),
        (a_span(10, "14.201"), Hold(after=5)),  # 1 ms is how containers round
        (a_span(10, 20), Hold(after=150)),
        (a_span(8, 20), Hold(before=50, after=150)),
        (a_span(0, 5), Hold(before=250)),
        (a_span(20, 30), Hold(after=400)),
        (a_span(10, 40_000, filled="0.04"), Hold()),  # two packets, one with a wrong time
    ],
)
def test_frames_stay_as_long_as_there_is_audio(span: AudioSpan | None, hold: Hold) -> None:
    assert hold_for(NEVER_CUT, [span]) == hold


def test_a_frame_of_a_slow_video_may_be_longer_than_padding() -> None:
    slow = VideoSpan(first=Fraction(0), rate=Fraction(5), frames=10)
    assert hold_for(slow, [a_span(0, "2.19")]) == Hold()
    assert hold_for(slow, [a_span(0, "2.21")]) == Hold(after=1)


def test_the_longest_of_several_tracks_counts() -> None:
    assert hold_for(NEVER_CUT, [a_span(9, 12), None, a_span(11, 16)]) == Hold(before=25, after=50)


def test_what_lies_outside_is_counted_where_it_is_more_than_usual() -> None:
    assert seconds_outside(NEVER_CUT, [a_span(9, "14.09"), a_span(11, 16)]) == 3
    assert seconds_outside(NEVER_CUT, [a_span(11, "14.1"), None]) == 0
    assert [seconds_late(NEVER_CUT, span) for span in (a_span("10.1", 14), a_span(11, 14), None)] == [0, 1, 0]


def a_long_source(*, frames: int = 50, constant: bool = True, span: AudioSpan | None = None) -> SourceFacts:
    """A source of 2 s whose audio lasts for 16 s."""
    audio = replace(some_audio(), span=span or a_span(0, 16))
    return replace(a_source(640, 360, frames=frames, constant=constant), audio=(audio,))


def planned(source: SourceFacts, **request: object) -> EncodePlan:
    return plan_job(source, JobRequest(resolution="360p", **request), a_policy(chunk_seconds=4))  # type: ignore[arg-type]


def graph(plan: EncodePlan, first_segment: int, segments: int = 1) -> str:
    return chunk_command(plan, "/s/x", first_segment=first_segment, segments=segments).filter_graph or ""


def test_the_plan_is_as_long_as_audio_and_video_together() -> None:
    plan = planned(a_long_source())
    assert (plan.timeline, plan.hold, plan.total_frames, plan.total_segments) == (
        Timeline.UNION,
        Hold(after=350),
        400,
        4,
    )
    assert len(plan.chunks) == 4
    assert EncodePlan.from_json(plan.to_json()) == plan


def test_audio_is_cut_on_request() -> None:
    plan = planned(a_long_source(), timeline="video")
    assert (plan.timeline, plan.hold, plan.total_frames, float(plan.audio_cut)) == (Timeline.VIDEO, Hold(), 50, 14.0)
    (reason,) = (reason for reason in explain(plan, JobRequest()) if reason.choice == "timeline")
    assert (reason.value, reason.because) == ("video: 14 s of audio before or after the video are cut", "requested")


def test_a_plan_warns_of_what_is_true_of_its_outputs() -> None:
    longer = Notice(code=SourceWarning.AUDIO_LONGER, seconds=Fraction(14))
    source = replace(a_long_source(), warnings=(Notice(code=SourceWarning.ROTATED), longer))
    assert planned(source).warnings == source.warnings
    cut = Notice(code=SourceWarning.AUDIO_CUT, seconds=Fraction(14))
    assert planned(source, timeline="video").warnings == (source.warnings[0], cut)
    assert planned(source, audio_streams=[]).warnings == source.warnings[:1]


def test_held_frames_are_explained() -> None:
    source = replace(a_long_source(), first=Fraction(1))
    (reason,) = (reason for reason in explain(planned(source), JobRequest()) if reason.choice == "timeline")
    assert reason.value == "union: the first frame 1 s longer and the last one 13 s"
    unbelieved = planned(a_long_source(span=a_span(0, 400, filled=1)))
    (reason,) = (reason for reason in explain(unbelieved, JobRequest()) if reason.choice == "timeline")
    assert reason.because == "hardly any of the time that the audio would add has audio in it"


def test_audio_that_is_cut_beside_a_track_that_is_not_is_said() -> None:
    """Of two tracks that are longer, one is believed."""
    whole = replace(some_audio(), span=a_span(0, 16))
    tracks = whole, replace(whole, index=2, source_index=2, span=a_span(0, 400, filled=1))
    plan = planned(replace(a_long_source(), audio=tracks))
    assert (plan.hold, float(plan.audio_cut)) == (Hold(after=350), 384)
    assert Notice(code=SourceWarning.AUDIO_CUT, seconds=Fraction(384)) in plan.warnings
    (reason,) = (reason for reason in explain(plan, JobRequest()) if reason.choice == "timeline")
    assert reason.value == "union: the last one 14 s; 384 s of audio before or after the video are cut"


def test_audio_beyond_the_limit_of_a_video_is_refused() -> None:
    source = replace(a_long_source(frames=1, span=a_span(0, 50_000)))
    with pytest.raises(InputRejected, match="the video lasts 50000 s; at most 43200 s are allowed"):
        planned(source)


def test_the_first_frame_comes_early() -> None:
    """T0 is earlier by 13 frames, so the first one is due at 0.52 s."""
    plan = planned(replace(a_source(640, 360, frames=200, first=Fraction(1, 2)), audio=a_long_source().audio))
    assert plan.hold == Hold(before=13, after=188)
    assert graph(plan, 0).startswith(
        "[0:0]sidedata=mode=delete:type=A53_CC,setpts=round(PTS-(-1/50)/TB),fps=25/1:start_time=0.000000,setpts=PTS-STARTPTS,sidedata=mode=delete:type=DISPLAYMATRIX,split=1[in0];"
    )
    assert seek_time(plan, 1) == Fraction(298, 100)
    assert read_until(plan, 0, 1) == Fraction(402, 100)
    assert "asetpts=round(PTS-(-1/50)/TB)" in (audio_command(plan, plan.audio[0], "/s/x").filter_graph or "")


def test_a_chunk_before_the_first_frame_seeks_nowhere() -> None:
    source = replace(a_source(640, 360, frames=200, first=Fraction(9)), audio=a_long_source().audio)
    plan = planned(source)
    assert [seek_time(plan, segment) for segment in (0, 1, 2)] == [None, None, None]
    assert seek_time(plan, 3) == 11
    assert "fps=25/1:start_time=8.000000,setpts" in graph(plan, 2)


def test_the_last_frame_is_repeated_behind_the_filters_that_change_it() -> None:
    """50 frames are there, as many that are spare, and 51 copies as `fps` passes on one less than it gets."""
    assert graph(planned(a_long_source()), 0).startswith(
        "[0:0]sidedata=mode=delete:type=A53_CC,setpts=round(PTS-(0/1)/TB),fps=25/1:start_time=0.000000,tpad=stop=50:stop_mode=clone,"
        "setpts=PTS-STARTPTS,sidedata=mode=delete:type=DISPLAYMATRIX,split=1[in0];[in0]scale="
    )
    assert ",tpad=stop=51:stop_mode=clone,setpts=N,fps=25/1,format=yuv420p[360p]" in graph(planned(a_long_source()), 0)


def test_a_chunk_behind_the_last_frame_decodes_the_last_second_only() -> None:
    plan = planned(a_long_source(frames=70))
    assert graph(plan, 2).startswith(
        "[0:0]sidedata=mode=delete:type=A53_CC,setpts=round(PTS-(0/1)/TB),fps=25/1:start_time=1.760000,tpad=stop=75:stop_mode=clone,"
        "trim=start_frame=25,setpts='PTS-STARTPTS+if(N,0,0*print(1000000007,16))',sidedata=mode=delete:type=DISPLAYMATRIX,split=1[in0];"
    )
    assert ",tpad=stop=101:stop_mode=clone,setpts=N,fps=25/1,format=" in graph(plan, 2)
    assert seek_time(plan, 2) == Fraction(76, 100)


def test_the_end_of_a_varying_source_is_a_matter_of_rounding() -> None:
    """A chunk that begins with its last two frames is made like one behind them."""
    varying = a_long_source(frames=102, constant=False)
    plan = planned(varying)
    assert "start_time=3.040000:eof_action=pass,tpad=stop=74:stop_mode=clone,trim=start_frame=24," in graph(plan, 1)
    assert ",tpad=stop=99:stop_mode=clone,setpts=N," in graph(plan, 1)
    earlier = planned(replace(varying, total_frames=103))
    assert (
        "start_time=4.000000:eof_action=pass,tpad=stop=50:stop_mode=clone,setpts='PTS-STARTPTS+if(N,0,0*print(1000000007,16))'"
        in graph(earlier, 1)
    )


def test_one_frame_is_a_video() -> None:
    plan = planned(a_long_source(frames=1, constant=False))
    assert [seek_time(plan, segment) for segment in (0, 3)] == [None, None]
    assert graph(plan, 3).startswith(
        "[0:0]sidedata=mode=delete:type=A53_CC,setpts=round(PTS-(0/1)/TB),fps=25/1:start_time=0.000000:eof_action=pass,"
        "tpad=stop=50:stop_mode=clone,setpts=PTS-STARTPTS,sidedata=mode=delete:type=DISPLAYMATRIX,split=1[in0];"
    )


def test_a_device_gets_frames_from_memory_where_the_last_one_is_held() -> None:
    policy = replace(a_policy(), hardware_path=HardwarePath.DEVICE)
    nvenc = ENCODERS["h264_nvenc"]
    paths = [
        plan_job(source, JobRequest(resolution="360p"), policy, encoders=[EncoderChoice(encoder=nvenc, sessions=8)])
        .encodings[0]
        .hardware_path
        for source in (a_source(), a_long_source(), a_source(constant=False))
    ]
    assert paths == [HardwarePath.DEVICE, HardwarePath.UPLOAD, HardwarePath.UPLOAD]


@given(
    rate=st.sampled_from(STANDARD_RATES),
    frames=st.integers(1, 400),
    first=st.fractions(0, 20),
    constant=st.booleans(),
    start=st.fractions(0, 20),
    seconds=st.fractions(0, 40),
)
def test_every_chunk_gives_all_of_its_frames(
    rate: Fraction, frames: int, first: Fraction, *, constant: bool, start: Fraction, seconds: Fraction
) -> None:
    """Count what the filters pass on, for a source that ends two frames early if it varies."""
    span = AudioSpan(start=start, end=start + seconds, filled=Fraction(100), delay=Fraction(0))
    source = a_source(640, 360, rate=rate, frames=frames, first=first, constant=constant)
    plan = planned(replace(source, audio=(replace(some_audio(), span=span),)))
    there = plan.hold.before + frames - (0 if constant else min(2, frames - 1))
    assert plan.first + plan.grid.duration >= span.end - Fraction(1, 10) - 2 / rate
    for segment in range(plan.total_segments):
        assert _passed_on(graph(plan, segment), there, rate) >= plan.grid.frames_in(segment)


def _passed_on(filters: str, there: int, rate: Fraction) -> int:
    """Return how many frames come out of a graph, of a source whose frames fill the grid up to `there`."""
    count = 0
    for each in filters.replace(";", ",").split(","):
        name, _, options = each.partition("=")
        given = dict(option.partition("=")[::2] for option in options.split(":"))
        if name == "fps" and "start_time" in given:
            count = max(0, there - round(Fraction(given["start_time"]) * rate))
        elif name == "fps":
            count -= 1
        elif name == "tpad" and count:
            count += int(given["stop"])
        elif name == "trim":
            count -= int(given["start_frame"])
    return count
