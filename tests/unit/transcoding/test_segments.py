import hashlib
import struct
from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.unit.transcoding.builders import (
    NTSC,
    a_colr,
    a_fragment,
    a_gop,
    a_plan,
    a_source,
    a_video_entry,
    a_video_stream,
    an_audio_stream,
    an_init,
)
from transcoding.containers.boxes import as_upright, read_init
from transcoding.containers.segments import AudioSegmenter, Segment, VideoSegmenter, check_audio_init, check_video_init
from transcoding.errors import RateExceeded, VerificationFailed
from transcoding.planning.plan import EncodePlan

PLAN = a_plan(a_source(640, 360, frames=330))
"""13.2 s: three segments of 100 frames and one of 30, in GOPs of 50."""
INIT = a_video_stream(PLAN, segments=1).partition(b"moof")[0][:-4]


def cut(stream: bytes, plan: EncodePlan = PLAN, *, first_segment: int = 0, segments: int = 4) -> list[Segment]:
    segmenter = VideoSegmenter(plan, plan.renditions[0], first_segment=first_segment, segments=segments)
    found = list(segmenter.feed(stream))
    segmenter.finish()
    return found


def test_fragments_become_segments_of_two_gops() -> None:
    found = cut(a_video_stream(PLAN))
    assert [(segment.number, segment.frames, segment.duration) for segment in found] == [
        (0, 100, 100_000),
        (1, 100, 100_000),
        (2, 100, 100_000),
        (3, 30, 30_000),
    ]
    assert INIT + b"".join(segment.data for segment in found) == a_video_stream(PLAN)


def test_a_chunk_begins_where_the_one_before_it_ends() -> None:
    found = cut(a_video_stream(PLAN, first_segment=2, segments=2), first_segment=2, segments=2)
    assert [segment.number for segment in found] == [2, 3]


def test_a_short_tail_makes_the_last_segment_longer() -> None:
    plan = a_plan(a_source(640, 360, frames=203))
    found = cut(a_video_stream(plan), plan, segments=2)
    assert [segment.frames for segment in found] == [100, 103]


def test_ticks_of_ntsc_rates_are_1001() -> None:
    plan = a_plan(a_source(640, 360, rate=NTSC, frames=240))
    assert [segment.duration for segment in cut(a_video_stream(plan), plan, segments=2)] == [120_120, 120_120]


def test_a_segment_locates_its_key_frames() -> None:
    for segment in cut(a_video_stream(PLAN)):
        first, *second = segment.keyframes
        gop = a_gop(PLAN, 100 * segment.number)
        assert (first.offset, first.ticks) == (0, 0)
        assert gop[: first.size].endswith(b"%d" % (100 * segment.number))  # the builder's frames are their numbers
        assert gop[first.size :].startswith(b"%d" % (100 * segment.number + 1))
        assert [(keyframe.offset, keyframe.ticks) for keyframe in second] == (
            [(len(gop), 50_000)] if segment.frames > 50 else []
        )


def test_segments_come_as_soon_as_they_are_whole() -> None:
    segmenter = VideoSegmenter(PLAN, PLAN.renditions[0], first_segment=0, segments=4)
    assert list(segmenter.feed(INIT + a_gop(PLAN, 0))) == []
    (segment,) = segmenter.feed(a_gop(PLAN, 50) + a_gop(PLAN, 100))
    assert segment.data == a_gop(PLAN, 0) + a_gop(PLAN, 50)
    assert segmenter.init == as_upright(INIT)


def test_a_segment_knows_its_digest() -> None:
    assert Segment(number=0, duration=1, frames=1, data=b"x").digest == hashlib.sha256(b"x").hexdigest()


def frames_from(first: int, count: int, *, ticks: int = 1000, keys: tuple[int, ...] = (0,)) -> bytes:
    return a_fragment(first * 1000, [(ticks, b"x", number in keys) for number in range(count)])


@pytest.mark.parametrize(
    ("stream", "message"),
    [
        (a_gop(PLAN, 0), "before the init segment"),
        (INIT + a_gop(PLAN, 50), "starts at another time"),
        (INIT + a_gop(PLAN, 0) + a_gop(PLAN, 0), "starts at another time"),
        (INIT + frames_from(0, 50, keys=()), "does not begin with a key frame"),
        (INIT + frames_from(0, 50, keys=(0, 25)), "has a second key frame"),
        (INIT + frames_from(0, 49), "the stream ends at frame 0 of 330"),
        (INIT + frames_from(0, 49) + frames_from(49, 50), "comes behind one with another length than its GOP"),
        (INIT + frames_from(0, 51), "has another length than its GOP"),
        (INIT + frames_from(0, 50, ticks=999), "has frames of another length"),
        (INIT + a_gop(PLAN, 0), "the stream ends at frame 50 of 330"),
        (INIT + a_gop(PLAN, 0) + a_gop(PLAN, 50), "the stream ends at frame 100 of 330"),
        (a_video_stream(PLAN)[:-1], "the stream ends at frame 300 of 330"),
        (a_video_stream(PLAN) + b"x", "the stream ends at frame 330 of 330"),
        (b"", "the stream ends at frame 0 of 330"),
        (INIT + b"\x00\x00\x00\x02moof", "boxes that cannot be read"),
    ],
)
def test_a_deviation_from_the_plan_is_reported(stream: bytes, message: str) -> None:
    with pytest.raises(VerificationFailed, match=message):
        cut(stream)


def test_more_than_the_chunk_is_reported() -> None:
    with pytest.raises(VerificationFailed, match="the stream ends at frame 200 of 100"):
        cut(a_video_stream(PLAN, segments=2), segments=1)


def with_bits(bits_per_second: int, *, first: int, frames: int) -> bytes:
    """A GOP of so many bits per second, boxes left out of account; all but a byte of each frame in the first one."""
    size = bits_per_second * frames // 25 // 8
    samples = [(1000, b"x" * (size - frames + 1) if number == 0 else b"x", number == 0) for number in range(frames)]
    return a_fragment(first * 1000, samples)


def test_a_segment_that_breaks_the_promised_rate_is_reported_before_anybody_gets_it() -> None:
    promised = PLAN.renditions[0].peak_bandwidth
    segmenter = VideoSegmenter(PLAN, PLAN.renditions[0], first_segment=0, segments=4)
    stream = INIT + with_bits(promised * 2, first=0, frames=50) + a_gop(PLAN, 50)
    assert [segment.number for segment in segmenter.feed(stream)] == [0], "what counts is a segment, not a GOP"
    with pytest.raises(RateExceeded, match=f"360p: segment 1 has .* b/s, the playlist promises {promised}"):
        list(segmenter.feed(with_bits(promised * 2, first=100, frames=50) + with_bits(promised, first=150, frames=50)))


def test_a_short_last_segment_may_have_any_rate() -> None:
    promised = PLAN.renditions[0].peak_bandwidth
    last = INIT + with_bits(promised * 3, first=300, frames=30)
    assert [segment.number for segment in cut(last, first_segment=3, segments=1)] == [3]


@pytest.mark.parametrize(
    ("init", "message"),
    [
        (an_init(profile=bytes.fromhex("64001f")), "codecs is avc1.64001f, the plan says avc1.64001e"),
        (an_init(timescale=90_000), "timescale is 90000, the plan says 25000"),
        (an_init(width=642), "width is 642, the plan says 640"),
        (an_init(height=362), "height is 362, the plan says 360"),
        (an_init(color=(1, 1, 1)), "color space is bt709, bt709, bt709, tv, the plan says smpte170m, smpte170m"),
        (an_init(color=(6, 6, 2)), "color space is smpte170m, smpte170m, unknown, tv, the plan says smpte170m"),
        (an_init(full_range=True), "color space is smpte170m, smpte170m, smpte170m, pc, the plan says smpte170m"),
        (an_init(video=a_video_entry("avc1", "avcC", bytes.fromhex("0164001eff"))), "color space is None"),
    ],
)
def test_an_init_segment_that_breaks_a_promise_is_reported_before_anything_is_published(
    init: bytes, message: str
) -> None:
    with pytest.raises(VerificationFailed, match=message):
        cut(init + a_gop(PLAN, 0) + a_gop(PLAN, 50))


def test_a_good_init_segment_is_silent() -> None:
    check_video_init(read_init(an_init()), PLAN.renditions[0], PLAN)
    check_audio_init(read_init(an_init(timescale=48_000, edit_start=1024, audio=True)), PLAN.audio[0])


@pytest.mark.parametrize(
    ("init", "message"),
    [
        (an_init(timescale=44_100, edit_start=1024, audio=True), "timescale is 44100"),
        (an_init(timescale=48_000, edit_start=0, audio=True), "start of presentation is 0, the plan says 1024"),
        (an_init(timescale=48_000, edit_start=1024), "codecs is avc1"),
    ],
)
def test_audio_whose_priming_is_not_cut_off_is_reported(init: bytes, message: str) -> None:
    with pytest.raises(VerificationFailed, match=message):
        list(AudioSegmenter(PLAN, PLAN.audio[0]).feed(init + a_fragment(0, [(1024, b"x", True)])))


def audio(stream: bytes, plan: EncodePlan = PLAN) -> list[Segment]:
    segmenter = AudioSegmenter(plan, plan.audio[0])
    return [*segmenter.feed(stream), segmenter.finish()]


LENGTH = 633_600
"""Samples in 13.2 s."""


def test_audio_is_cut_at_the_frame_nearest_to_the_video_s_boundary() -> None:
    found = audio(an_audio_stream(LENGTH))
    assert [(segment.number, segment.frames) for segment in found] == [(0, 188), (1, 188), (2, 188), (3, 56)]
    starts = [sum(segment.duration for segment in found[:number]) - 1024 for number in range(4)]
    for number, start in enumerate(starts[1:], 1):
        assert abs(start - number * 4 * 48_000) <= 512
    assert sum(segment.duration for segment in found) == LENGTH + 1024


def test_audio_comes_while_it_is_encoded() -> None:
    segmenter = AudioSegmenter(PLAN, PLAN.audio[0])
    stream = an_audio_stream(LENGTH)
    assert [segment.number for segment in segmenter.feed(stream[: len(stream) // 2])] == [0]
    assert segmenter.init == stream.partition(b"moof")[0][:-4]


def test_a_very_short_video_has_one_segment_of_audio() -> None:
    plan = a_plan(a_source(frames=1))
    (segment,) = audio(an_audio_stream(1920), plan)
    assert (segment.number, segment.frames, segment.duration) == (0, 3, 2944)


@pytest.mark.parametrize(
    ("stream", "message"),
    [
        (b"", "ends in segment 0 of 4"),
        (an_audio_stream(LENGTH)[:-1], "ends in segment 3 of 4"),
        (an_audio_stream(LENGTH - 300_000), "ends in segment 1 of 4"),
        (an_audio_stream(LENGTH - 2000), "632624 samples instead of 634624"),
        (an_audio_stream(LENGTH + 2000), "636624 samples instead of 634624"),
        (an_audio_stream(LENGTH, missing=10_240), "starts at 11264 instead of 10240"),
        (an_audio_stream(LENGTH, missing=0), "starts at 1024 instead of 0"),
        (an_audio_stream(LENGTH, shortened=10_240), "the frame before 10241 is shorter than 1024 samples"),
        (b"\x00\x00\x00\x02moof", "boxes that cannot be read"),
    ],
)
def test_audio_that_is_not_as_long_as_the_video_is_reported(stream: bytes, message: str) -> None:
    with pytest.raises(VerificationFailed, match=message):
        audio(stream)


@pytest.mark.parametrize("off", [-1024, -1, 1, 1024])
def test_a_frame_of_audio_more_or_less_is_none(off: int) -> None:
    assert len(audio(an_audio_stream(LENGTH + off))) == 4


@pytest.mark.parametrize("make", [lambda: cut(INIT), lambda: audio(b"")])
def test_a_failed_verification_may_be_tried_again(make: Callable[[], object]) -> None:
    with pytest.raises(VerificationFailed) as raised:
        make()
    assert raised.value.retryable
    assert raised.value.code == "verification_failed"


def test_the_first_rung_alone_is_looked_at() -> None:
    other = replace(PLAN.renditions[0], name="other")
    segmenter = VideoSegmenter(PLAN, other, first_segment=0, segments=4)
    with pytest.raises(VerificationFailed, match="other: the GOP at frame 0"):
        list(segmenter.feed(INIT + a_gop(PLAN, 50)))


def _hevc(codecs: str, found: str) -> None:
    """Check an init segment whose hvcC holds these bytes against a promise of this codecs string."""
    data = an_init(video=a_video_entry("hvc1", "hvcC", bytes.fromhex(found), a_colr()))
    check_video_init(read_init(data), replace(PLAN.renditions[0], codecs=codecs), PLAN)


def test_flags_of_what_a_stream_does_without_are_the_encoder_s_own_business() -> None:
    _hevc("hvc1.1.6.L93.90", "0101600000009000000000005d")
    _hevc("hvc1.1.6.L93.90", "010160000000b000000000005d")
    check_video_init(read_init(an_init(profile=bytes.fromhex("640c1e"))), PLAN.renditions[0], PLAN)


@pytest.mark.parametrize(
    "found",
    ["0101600000009000000000005a", "0121600000009000000000005d", "0102200000009000000000005d"],
    ids=["level", "tier", "profile"],
)
def test_profile_tier_and_level_are_not(found: str) -> None:
    with pytest.raises(VerificationFailed, match=r"the plan says hvc1\.1\.6\.L93\.90"):
        _hevc("hvc1.1.6.L93.90", found)


def test_a_segment_far_above_its_promise_is_refused_before_it_is_whole() -> None:
    """Each of its two GOPs is within what is kept of a segment, and both together are not."""
    segmenter = VideoSegmenter(PLAN, PLAN.renditions[0], first_segment=0, segments=4)
    half = with_bits((16 << 20) * 8 // 2, first=0, frames=50)
    assert list(segmenter.feed(INIT + half)) == []
    with pytest.raises(RateExceeded, match="360p: segment 0 has more than"):
        list(segmenter.feed(with_bits((16 << 20) * 8 // 2 + 2_000_000, first=50, frames=50)))


def test_a_gop_far_above_its_promise_is_refused_at_its_header() -> None:
    segmenter = VideoSegmenter(PLAN, PLAN.renditions[0], first_segment=0, segments=4)
    with pytest.raises(VerificationFailed, match="a box mdat of 67108864 bytes"):
        list(segmenter.feed(INIT + struct.pack(">I4s", 64 << 20, b"mdat")))


AUDIO_INIT = an_audio_stream(LENGTH).partition(b"moof")[0][:-4]


@pytest.mark.parametrize(
    ("fragments", "message"),
    [
        ([a_fragment(0, [(0, b"", True)])] * 2, "shorter than 1024 samples"),
        ([a_fragment(0, [(0, b"", True)] * 3 + [(1024, b"x", True)])], "4 frames in a fragment"),
        ([a_fragment(number * 1024, [(1024, b"x", True)]) for number in range(700)], "and more of them to come"),
        ([a_fragment(0, [(1024, b"x" * 65_536, True)])], "a box mdat of 65544 bytes"),
    ],
    ids=["frames of no length", "several frames", "audio without end", "a frame too large"],
)
def test_audio_that_would_pile_up_is_refused(fragments: list[bytes], message: str) -> None:
    """As soon as it is read: the end of the stream may never come."""
    segmenter = AudioSegmenter(PLAN, PLAN.audio[0])
    with pytest.raises(VerificationFailed, match=message):
        list(segmenter.feed(AUDIO_INIT + b"".join(fragments)))
