from transcoding.flv.tags import FlvTag, TagKind
from transcoding.rtmp.client import PublishEnded
from workers.live.intake import Arrival, Intake, Item

HEADER = FlvTag(TagKind.VIDEO, 0, b"\x17\x00\x00\x00\x00parameters")
AUDIO = FlvTag(TagKind.AUDIO, 0, b"\xaf\x01frame")


def a_frame(number: int, *, key: bool = False, size: int = 10) -> FlvTag:
    return FlvTag(TagKind.VIDEO, number * 40, (b"\x17" if key else b"\x27") + b"\x01\x00\x00\x00" + bytes(size))


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def items(intake: Intake) -> list[object]:
    found: list[object] = []
    while (arrival := intake.get(0)) is not None:
        assert isinstance(arrival, Arrival)
        found.append(arrival.item)
    return found


def test_what_arrives_comes_out_in_its_order_with_its_time() -> None:
    clock = Clock()
    intake = Intake(clock=clock)
    intake.put(HEADER)
    clock.now += 1
    intake.put(a_frame(0, key=True))
    assert intake.behind_seconds() == 1.0
    first, second = intake.get(0), intake.get(0)
    assert first
    assert second
    assert (first.item, first.at, second.at) == (HEADER, 100.0, 101.0)
    assert intake.get(0) is None
    assert intake.last_at == 101.0


def test_too_many_bytes_drop_what_waits_and_all_up_to_the_next_key_frame() -> None:
    intake = Intake(max_bytes=100)
    frames = [a_frame(number, key=number % 10 == 0) for number in range(21)]
    items_before: list[Item] = [HEADER, *frames[:9], PublishEnded(), AUDIO, *frames[9:12]]
    for item in items_before:
        intake.put(item)
    assert intake.dropped_frames > 0
    dropped = intake.dropped_frames
    for frame in frames[12:21]:
        intake.put(frame)
    left = items(intake)
    assert left[:2] == [HEADER, PublishEnded()]
    assert left[2] == frames[20]
    assert intake.dropped_frames >= dropped
    assert intake.dropped_frames + len(left) - 2 == 21


def test_an_encoder_that_is_far_behind_loses_frames_too() -> None:
    clock = Clock()
    intake = Intake(max_seconds=8, clock=clock)
    intake.put(a_frame(0, key=True))
    clock.now += 9
    intake.put(a_frame(1))
    assert items(intake) == []
    assert (intake.dropped_frames, intake.dropped_at) == (2, clock.now)
    intake.put(AUDIO)
    intake.put(a_frame(2, key=True))
    intake.put(AUDIO)
    assert items(intake) == [a_frame(2, key=True), AUDIO]
