"""Segmenters of live streams, on streams of boxes as ffmpeg would write them."""

from collections.abc import Sequence

import pytest

from tests.unit.transcoding.builders import a_fragment, an_audio_stream, an_init
from tests.unit.transcoding.test_livestream_commands import a_live_plan
from transcoding.containers.boxes import as_upright, find
from transcoding.containers.fragments import read_fragment
from transcoding.containers.live_segments import LiveAudioSegmenter, LivePart, LiveVideoSegmenter
from transcoding.containers.segments import Segment
from transcoding.containers.verification import PublishedRun, verify_rendition
from transcoding.errors import VerificationFailed
from transcoding.planning.latency import Latency
from transcoding.planning.plan import EncodePlan

NORMAL, LOW = a_live_plan(), a_live_plan(Latency.LOW)
"""Thirty frames per second: segments of 60 frames, parts of 15."""
INIT = an_init(timescale=30_000, width=640, height=360, color=(1, 1, 1))
AUDIO_INIT = an_audio_stream(0).partition(b"moof")[0][:-4]


def frames(first: int, count: int, *, ticks: int = 1000, keys: Sequence[int] = ()) -> bytes:
    """A fragment; by default with a key frame where a segment begins."""
    keys = keys or ([0] if first % 60 == 0 else [])
    return a_fragment(first * 1000, [(ticks, b"%d" % (first + number), number in keys) for number in range(count)])


def parts(first: int, last: int) -> bytes:
    return b"".join(frames(number, 15) for number in range(first, last, 15))


def video(
    stream: bytes, plan: EncodePlan = NORMAL, *, first: int = 0
) -> tuple[list[LivePart | Segment], Segment | None]:
    segmenter = LiveVideoSegmenter(plan, plan.renditions[0], first_segment=first)
    return list(segmenter.feed(stream)), segmenter.end()


def test_a_gop_is_a_segment() -> None:
    found, last = video(INIT + frames(0, 60) + frames(60, 60))
    assert [(each.number, each.duration) for each in found] == [(0, 60_000), (1, 60_000)]
    assert [each.data for each in found] == [frames(0, 60), frames(60, 60)]
    assert last is None


def test_a_takeover_begins_where_its_segment_does() -> None:
    found, _ = video(INIT + frames(420, 60), first=7)
    assert [each.number for each in found] == [7]


def test_parts_come_one_by_one_and_join_to_their_segment() -> None:
    found, last = video(INIT + parts(0, 120), LOW)
    kinds = "".join("p" if isinstance(each, LivePart) else "s" for each in found)
    assert (kinds, last) == ("ppppspppps", None)
    segments = [each for each in found if isinstance(each, Segment)]
    parted = [each for each in found if isinstance(each, LivePart)]
    assert [(each.number, each.index, each.independent) for each in parted[:5]] == [
        *((0, 0, True), (0, 1, False), (0, 2, False), (0, 3, False)),
        (1, 0, True),
    ]
    assert segments[1].data == b"".join(each.data for each in parted[4:]) == parts(60, 120)
    assert {each.duration for each in parted} == {15_000}


def test_a_segment_of_parts_locates_its_key_frame() -> None:
    segment = next(each for each in video(INIT + parts(0, 60), LOW)[0] if isinstance(each, Segment))
    (key,) = segment.keyframes
    assert (key.offset, key.ticks) == (0, 0)
    assert segment.data[: key.size].endswith(b"0")
    assert segment.frames == 60


@pytest.mark.parametrize(
    ("stream", "plan", "frames_of_last"),
    [
        (INIT + frames(0, 60) + frames(60, 30), NORMAL, 30),
        (INIT + frames(0, 60) + frames(60, 7), NORMAL, 7),
        (INIT + frames(0, 60) + frames(60, 6), NORMAL, None),
        (INIT + frames(0, 60), NORMAL, None),
        (INIT + frames(0, 3), NORMAL, 3),
        (INIT, NORMAL, None),
        (b"", NORMAL, None),
        (INIT + parts(0, 75) + frames(75, 4), LOW, 19),
        (INIT + parts(0, 60) + frames(60, 5), LOW, None),
    ],
)
def test_a_tail_is_a_segment_unless_the_grid_joins_it_to_the_one_before(
    stream: bytes, plan: EncodePlan, frames_of_last: int | None
) -> None:
    found, last = video(stream, plan)
    assert (last.frames if last else None) == frames_of_last
    segments = [each for each in found if isinstance(each, Segment)] + ([last] if last else [])
    if total := sum(each.frames for each in segments):
        assert NORMAL.closed(total).total_segments == len(segments)


@pytest.mark.parametrize(
    ("stream", "plan", "message"),
    [
        (frames(0, 60), NORMAL, "before the init segment"),
        (INIT + frames(60, 60), NORMAL, "starts at another time"),
        (INIT + frames(0, 60) + frames(0, 60), NORMAL, "starts at another time"),
        (INIT + frames(0, 60, keys=[1]), NORMAL, "does not begin with a key frame"),
        (INIT + frames(0, 60, keys=[0, 30]), NORMAL, "has a key frame within its segment"),
        (INIT + frames(0, 15) + frames(15, 15, keys=[0]), LOW, "has a key frame within its segment"),
        (INIT + frames(0, 61), NORMAL, "is longer than planned"),
        (INIT + frames(0, 16), LOW, "is longer than planned"),
        (INIT + frames(0, 14) + frames(14, 15), LOW, "comes behind one that is shorter than planned"),
        (INIT + frames(0, 59) + frames(59, 60), NORMAL, "comes behind one that is shorter than planned"),
        (INIT + frames(0, 60, ticks=999), NORMAL, "has frames of another length"),
        (an_init(timescale=25_000, color=(1, 1, 1)) + frames(0, 60), NORMAL, "timescale is 25000"),
        (an_init(timescale=30_000, width=320, color=(1, 1, 1)) + frames(0, 60), NORMAL, "width is 320"),
    ],
)
def test_a_deviation_from_the_plan_is_reported(stream: bytes, plan: EncodePlan, message: str) -> None:
    with pytest.raises(VerificationFailed, match=message):
        video(stream, plan)


def test_the_init_segment_is_there_with_the_first_fragment() -> None:
    segmenter = LiveVideoSegmenter(NORMAL, NORMAL.renditions[0], first_segment=0)
    assert (list(segmenter.feed(INIT)), segmenter.init) == ([], None)
    list(segmenter.feed(frames(0, 60)))
    assert segmenter.init == as_upright(INIT)


def audio(
    count: int, plan: EncodePlan = NORMAL, *, first: int = 0, last: int = 1024
) -> tuple[LiveAudioSegmenter, list[LivePart | Segment]]:
    """A run of so many coded frames, and what the segmenter gave."""
    segmenter = LiveAudioSegmenter(plan, plan.audio[0], first_segment=first)
    lengths = [1024] * (count - 1) + [last]
    coded = (a_fragment(1024 * n, [(length, b"aac%04d" % n, True)]) for n, length in enumerate(lengths))
    return segmenter, list(segmenter.feed(AUDIO_INIT + b"".join(coded)))


def decode_time(data: bytes) -> int:
    moof = data.index(b"moof") - 4
    size = int.from_bytes(data[moof : moof + 4])
    following = data[moof : moof + size + int.from_bytes(data[moof + size : moof + size + 4])]
    return read_fragment(find(following, "moof"), following).decode_time


def test_audio_is_cut_at_the_frame_nearest_to_the_video_s_boundary() -> None:
    _, found = audio(300)
    assert [(each.number, each.duration // 1024, decode_time(each.data) // 1024) for each in found] == [
        (0, 95, 0),
        (1, 93, 95),
        (2, 94, 188),
    ]


def test_a_takeover_of_audio_goes_on_at_the_tick_where_the_segment_before_ends() -> None:
    _, whole = audio(300)
    _, later = audio(200, first=2)
    assert decode_time(later[0].data) == decode_time(whole[2].data)
    assert later[0].duration == whole[2].duration
    assert b"aac0000" not in later[0].data, "it primes decoders"
    assert b"aac0001" in later[0].data


def test_parts_of_audio_end_where_those_of_the_video_do() -> None:
    _, found = audio(200, LOW)
    parted = [each for each in found if isinstance(each, LivePart)]
    segments = [each for each in found if isinstance(each, Segment)]
    assert [(each.number, each.index) for each in parted] == [(n, k) for n in range(2) for k in range(4)]
    assert segments[0].data == b"".join(each.data for each in parted[:4])
    for number, each in enumerate(parted[1:], start=1):
        assert abs(decode_time(each.data) - 1024 - number * 24_000) <= 512
    assert all(each.independent for each in parted)


@pytest.mark.parametrize("open_plan", [NORMAL, LOW], ids=["normal", "low"])
@pytest.mark.parametrize("total_frames", [60, 67, 90, 119, 120, 127, 179, 180, 200])
@pytest.mark.parametrize("coded", [1, 94, 96, 190, 260, 300])
def test_audio_ends_with_the_video_whatever_it_had(open_plan: EncodePlan, total_frames: int, coded: int) -> None:
    """It is cut off, or filled with silence, so that a finished broadcast is as long as planned."""
    plan = open_plan.closed(total_frames)
    segmenter, found = audio(coded, open_plan)
    last = segmenter.end(total_frames)
    assert last[-1].number == plan.total_segments - 1
    published = [each for each in found if isinstance(each, Segment) and each.number < last[0].number]
    segments = [*published, *last]
    assert [each.number for each in segments] == list(range(plan.total_segments))
    run = PublishedRun(
        first_segment=0,
        durations=[each.duration for each in segments],
        frames=[each.frames for each in segments],
        sizes=[len(each.data) for each in segments],
    )
    verify_rendition(plan, "audio", [run])


def test_the_end_of_a_takeover_without_audio_is_silence_from_its_boundary_on() -> None:
    _, whole = audio(300)
    segmenter, _ = audio(1, first=2)
    (last,) = segmenter.end(180)
    assert (last.number, last.duration, decode_time(last.data)) == (2, whole[2].duration, decode_time(whole[2].data))


def test_a_video_that_ended_before_a_run_started_has_no_more_audio() -> None:
    segmenter, _ = audio(5, first=2)
    assert segmenter.end(120) == ()


def test_the_last_frame_of_a_run_may_be_short_and_no_other() -> None:
    segmenter, _ = audio(10, last=300)
    assert segmenter.end(60)[0].duration == 95 * 1024
    segmenter = LiveAudioSegmenter(NORMAL, NORMAL.audio[0], first_segment=0)
    short = a_fragment(0, [(300, b"x", True)]) + a_fragment(300, [(1024, b"x", True)])
    with pytest.raises(VerificationFailed, match="starts at 300 instead of 1024"):
        list(segmenter.feed(AUDIO_INIT + short))


@pytest.mark.parametrize(
    ("stream", "message"),
    [
        (a_fragment(0, [(1024, b"x", True)] * 2), "2 frames in a fragment"),
        (a_fragment(1024, [(1024, b"x", True)]), "starts at 1024 instead of 0"),
        (a_fragment(0, [(2048, b"x", True)]), "is not 1024 samples long"),
    ],
)
def test_a_deviation_of_audio_is_reported(stream: bytes, message: str) -> None:
    segmenter = LiveAudioSegmenter(NORMAL, NORMAL.audio[0], first_segment=0)
    with pytest.raises(VerificationFailed, match=message):
        list(segmenter.feed(AUDIO_INIT + stream))


def test_a_finished_broadcast_may_have_been_above_its_promise() -> None:
    """Nobody can encode it again, and its playlists say what it has from then on."""
    plan = NORMAL.closed(60)
    run = PublishedRun(first_segment=0, durations=[60_000], frames=[60], sizes=[10_000_000])
    assert verify_rendition(plan, "360p", [run]).segment_bandwidth == 40_000_000
