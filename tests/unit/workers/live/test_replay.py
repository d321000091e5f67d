from transcoding.flv.retiming import retimed, without_audio
from transcoding.flv.tags import FlvTag, TagKind, flv_bytes
from workers.live.replay import Block, Replay


def a_tag(time_ms: int, kind: TagKind = TagKind.VIDEO) -> FlvTag:
    return FlvTag(kind, time_ms, b"\x27\x01\x00\x00\x00data")


def a_block(time_ms: int, *, key: bool = False, composition_ms: int = 0) -> Block:
    return Block(
        data=flv_bytes(a_tag(time_ms)) + flv_bytes(a_tag(time_ms, TagKind.AUDIO)),
        time_ms=time_ms,
        shown_ms=time_ms + composition_ms,
        keyframe=key,
        wall=0.0,
    )


def test_what_a_run_needs_stays_from_the_key_frame_before_it_on() -> None:
    replay = Replay()
    for time in range(0, 6000, 500):
        replay.add(a_block(time, key=time % 1000 == 0))
    replay.forget_before(2.5)
    first = replay.first()
    assert first
    assert first.time_ms == 2000
    replay.forget_before(3.0)
    assert replay.first() == a_block(3000, key=True)


def test_a_key_frame_that_is_shown_later_is_none_to_begin_with() -> None:
    replay = Replay()
    for time in (0, 1000, 2000):
        replay.add(a_block(time, key=True, composition_ms=80))
    replay.forget_before(2.0)
    first = replay.first()
    assert first
    assert first.time_ms == 1000


def test_a_replay_is_bounded_and_begins_again_at_a_key_frame() -> None:
    size = len(a_block(0).data)
    replay = Replay(max_bytes=3 * size)
    for time in range(4):
        replay.add(a_block(time, key=time == 0))
    assert replay.first() is None
    replay.add(a_block(4))
    replay.add(a_block(5, key=True))
    first = replay.first()
    assert first
    assert first.time_ms == 5


def test_times_count_from_the_beginning_of_a_run_and_audio_can_be_left_out() -> None:
    replay = Replay()
    replay.add(a_block(0x0100_0010, key=True))
    base = 0x0100_0000
    assert replay.blocks(base_ms=base) == [flv_bytes(a_tag(16)) + flv_bytes(a_tag(16, TagKind.AUDIO))]
    replay.silence()
    assert replay.blocks(base_ms=base) == [flv_bytes(a_tag(16))]


def test_times_before_the_beginning_are_those_of_the_beginning() -> None:
    assert retimed(flv_bytes(a_tag(5)), 10) == flv_bytes(a_tag(0))
    assert retimed(flv_bytes(a_tag(5)), 0) == flv_bytes(a_tag(5))
    assert without_audio(flv_bytes(a_tag(5, TagKind.AUDIO))) == b""
