"""Tags of publishers with odd clocks, on ours."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from transcoding.flv.feed import Feed
from transcoding.flv.tags import FLV_HEADER, FlvTag, TagKind, flv_bytes

VIDEO_HEADER = FlvTag(TagKind.VIDEO, 0, b"\x17\x00\x00\x00\x00AVCC")
AUDIO_HEADER = FlvTag(TagKind.AUDIO, 0, b"\xaf\x00\x11\x90")
MONO_HEADER = FlvTag(TagKind.AUDIO, 0, b"\xaf\x00\x12\x08")
FRAME_MS = 1024 / 48


def frame(at: int, *, key: bool = False, offset: int = 0) -> FlvTag:
    return FlvTag(TagKind.VIDEO, at % 2**32, bytes((0x17 if key else 0x27, 1)) + (offset % 2**24).to_bytes(3) + b"N")


def audio(at: float) -> FlvTag:
    return FlvTag(TagKind.AUDIO, round(at) % 2**32, b"\xaf\x01real")


def tags_of(data: bytes) -> Iterator[FlvTag]:
    at = 0
    while at < len(data):
        size = int.from_bytes(data[at + 1 : at + 4], "big")
        time = int.from_bytes(data[at + 4 : at + 7], "big") | data[at + 7] << 24
        assert int.from_bytes(data[at + 11 + size : at + 15 + size], "big") == size + 11
        yield FlvTag(TagKind(data[at]), time, data[at + 11 : at + 11 + size])
        at += size + 15


def fed(tags: Iterable[FlvTag], feed: Feed | None = None) -> list[FlvTag]:
    feed = feed or Feed()
    return [each for tag in tags for each in tags_of(feed.push(tag))]


def stream(begin: int, count: int, *, start: int = 0) -> Iterator[FlvTag]:
    """Yield seconds of 25 frames, a key frame in each, with audio, whose times count from `begin`."""
    audible = float(start)
    for number in range(count):
        time = start + number * 40
        yield frame(begin + time, key=number % 25 == 0)
        while audible < time + 40:
            yield audio(begin + audible)
            audible += FRAME_MS


def times(tags: Iterable[FlvTag], kind: TagKind) -> list[int]:
    return [tag.timestamp_ms for tag in tags if tag.kind == kind and tag.is_frame]


def steady(found: list[FlvTag], *, step: int = 40) -> None:
    """Require that neither track jumps, and that there is audio all along."""
    video, audible = times(found, TagKind.VIDEO), times(found, TagKind.AUDIO)
    assert all(0 < after - before <= step for before, after in pairwise(video))
    assert all(0 <= after - before <= 2 * FRAME_MS + 2 for before, after in pairwise(audible))
    assert abs(audible[-1] - video[-1]) < 100


@pytest.mark.parametrize("begin", [0, 77, 123_456, 2**32 - 500, 2**31 - 500])
def test_the_first_key_frame_is_at_zero_and_32_bits_wrap(begin: int) -> None:
    before = [VIDEO_HEADER, AUDIO_HEADER, audio(begin), frame(begin + 1)]
    feed = Feed()
    found = fed([*before, *stream(begin + 40, 50)], feed)
    assert times(found, TagKind.VIDEO) == [number * 40 for number in range(50)]
    steady(found)
    assert feed.jumps == 0
    assert feed.time_ms >= 1960


def test_nothing_comes_before_a_key_frame_that_can_be_decoded() -> None:
    feed = Feed()
    assert fed([frame(0, key=True), frame(40), audio(40)], feed) == []
    assert fed([VIDEO_HEADER, AUDIO_HEADER, frame(80), frame(120, key=True)], feed) != []
    headers = list(tags_of(feed.preamble().removeprefix(FLV_HEADER)))
    assert headers == [VIDEO_HEADER, AUDIO_HEADER]


@pytest.mark.parametrize("jump", [-1_000_000, -1500, -200, 1500, 10_000, 3_000_000_000])
def test_jumps_go_on_at_once_with_audio_in_step(jump: int) -> None:
    feed = Feed()
    first, second = list(stream(1_000_000, 50)), list(stream(1_000_000 + jump, 50, start=2000))
    found = fed([VIDEO_HEADER, AUDIO_HEADER, *first, *second], feed)
    steady(found, step=80)
    assert feed.jumps == 1
    assert abs(feed.time_ms - 4000) < 100


def test_tags_of_before_and_behind_a_jump_may_be_interleaved() -> None:
    first, second = list(stream(0, 50)), list(stream(90_000, 50, start=2000))
    late = [tag for tag in first[-30:] if tag.is_audio]
    early = [tag for tag in first if tag not in late]
    feed = Feed()
    found = fed([VIDEO_HEADER, AUDIO_HEADER, *early, *second[:1], *late, *second[1:]], feed)
    assert feed.jumps == 1
    steady(found, step=80)


@pytest.mark.parametrize("again", [0, 33, 700])
def test_a_reconnection_counts_from_zero_again(again: int) -> None:
    feed = Feed()
    found = fed([VIDEO_HEADER, AUDIO_HEADER, *stream(0, 100)], feed)
    found += fed([VIDEO_HEADER, AUDIO_HEADER, *stream(again, 50)], feed)
    steady(found, step=100)
    assert feed.jumps == 1


def test_one_wild_time_is_evened_out() -> None:
    tags = list(stream(0, 100))
    tags[120] = FlvTag(tags[120].kind, 3_000_000, tags[120].data)
    found = fed([VIDEO_HEADER, AUDIO_HEADER, *tags])
    assert abs(times(found, TagKind.VIDEO)[-1] - 3960) < 100
    assert abs(times(found, TagKind.AUDIO)[-1] - 3960) < 150


def test_video_that_was_left_out_does_not_move_audio() -> None:
    tags = [tag for tag in stream(0, 200) if tag.kind == TagKind.AUDIO or not 2000 <= tag.timestamp_ms < 5000]
    feed = Feed()
    found = fed([VIDEO_HEADER, AUDIO_HEADER, *tags], feed)
    assert feed.jumps == 0
    assert times(found, TagKind.VIDEO)[-1] == 199 * 40


def test_without_audio_there_is_silence() -> None:
    feed = Feed()
    found = fed([VIDEO_HEADER, *(frame(number * 40, key=number % 25 == 0) for number in range(100))], feed)
    steady(found)
    assert list(tags_of(feed.preamble().removeprefix(FLV_HEADER)))[1].data == b"\xaf\x00\x11\x90"


def test_audio_that_begins_later_takes_over_and_says_when_it_is_coded_in_another_way() -> None:
    silent = [frame(number * 40, key=number % 25 == 0) for number in range(50)]
    for header, changed in (
        (AUDIO_HEADER, False),
        (FlvTag(TagKind.AUDIO, 0, AUDIO_HEADER.data + b"\x56"), False),
        (MONO_HEADER, True),
    ):
        feed = Feed()
        found = fed([VIDEO_HEADER, *silent], feed)
        data = feed.push(header)
        assert feed.audio_changed is changed
        assert bool(data) is changed
        found += fed(stream(0, 50, start=2000), feed)
        assert not feed.audio_changed
        steady(found)
        assert sum(tag.data == b"\xaf\x01real" for tag in found) >= 50 * 40 / 24 - 3
        if changed:
            assert feed.preamble().endswith(MONO_HEADER.data + (15).to_bytes(4, "big"))


def test_parameters_that_come_soon_can_be_known_before() -> None:
    feed = Feed()
    feed.learn(MONO_HEADER)
    fed([VIDEO_HEADER, frame(0, key=True), MONO_HEADER], feed)
    assert not feed.audio_changed
    assert MONO_HEADER.data in feed.preamble()


def test_audio_that_pauses_is_replaced_after_a_second_and_comes_back() -> None:
    tags = [tag for tag in stream(0, 250) if tag.kind == TagKind.VIDEO or not 2000 <= tag.timestamp_ms < 7000]
    found = fed([VIDEO_HEADER, AUDIO_HEADER, *tags])
    steady(found)
    assert sum(tag.data != b"\xaf\x01real" for tag in found if tag.is_audio) > 200


def test_audio_that_comes_late_is_kept() -> None:
    tags = sorted(stream(0, 250), key=lambda tag: tag.timestamp_ms + 800 * (tag.kind == TagKind.AUDIO))
    found = fed([VIDEO_HEADER, AUDIO_HEADER, *tags])
    assert all(tag.data == b"\xaf\x01real" for tag in found if tag.is_audio and tag.is_frame)


def test_audio_of_other_codecs_is_passed_on() -> None:
    feed = Feed()
    tags = [tag if tag.is_video else FlvTag(tag.kind, tag.timestamp_ms, b"\x2fMP3") for tag in stream(0, 60)]
    fed([VIDEO_HEADER, tags[0]], feed)
    feed.push(tags[1])
    assert feed.audio_changed
    found = fed(tags[2:], feed)
    assert sum(tag.data == b"\x2fMP3" for tag in found) > 100
    assert feed.preamble() == FLV_HEADER + flv_bytes(VIDEO_HEADER)


def test_presentation_times_that_nobody_has_are_those_of_decoding() -> None:
    feed = Feed()
    feed.push(VIDEO_HEADER)
    for offset, expected in ((80, 80), (-40, -40), (900_000, 0), (-900_000, 0)):
        (tag, *_) = tags_of(feed.push(frame(0, key=True, offset=offset)))
        assert tag.composition_ms == expected
        assert feed.presentation_ms - feed.time_ms == expected


def test_metadata_ends_and_commands_do_not_reach_the_decoder() -> None:
    odd = [FlvTag(TagKind.VIDEO, 0, data) for data in (b"\x17\x02\x00\x00\x00", b"\x57\x00", b"\x17", b"")]
    odd += [FlvTag(TagKind.DATA, 0, b"\x02\x00\x0aonMetaData"), FlvTag(TagKind.AUDIO, 0, b"")]
    feed = Feed()
    fed([VIDEO_HEADER, frame(0, key=True)], feed)
    assert fed(odd, feed) == []


anything = st.builds(
    FlvTag,
    st.sampled_from(TagKind),
    st.integers(0, 2**32 - 1),
    st.sampled_from((VIDEO_HEADER.data, AUDIO_HEADER.data, MONO_HEADER.data, b"\x17\x01\x00\x00\x00N", b"\xaf\x01a"))
    | st.binary(max_size=8),
)


@settings(max_examples=40)
@given(st.lists(anything, max_size=30))
def test_whatever_comes_times_never_go_back_and_no_tag_adds_much(tags: list[FlvTag]) -> None:
    feed = Feed()
    feed.push(VIDEO_HEADER)
    latest = dict.fromkeys(TagKind, 0)
    for tag in [frame(0, key=True), *tags]:
        added = list(tags_of(feed.push(tag)))
        assert len(added) < 200
        for each in added:
            if each.is_frame:
                assert latest[each.kind] <= each.timestamp_ms <= latest[TagKind.VIDEO] + 100_000
                latest[each.kind] = each.timestamp_ms
