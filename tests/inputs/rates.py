"""Constant and varying frame rates, and very short videos. Outputs have one of the standard rates."""

from tests.inputs.case import Case, Plays
from tests.inputs.making import AAC, H264, card

TITLE = "Frame rates and lengths"

_KEEP_TIMES = "-fps_mode passthrough -enc_time_base:v 1:90000 -video_track_timescale 90000"
_TICKS = "settb=1/90000"


def _steady(key: str, rate: str, frames: int, what: str, why: str) -> Case:
    return Case(
        key=key,
        what=what,
        make=card("mp4", rate=rate, frames=frames),
        outcome=Plays(rate=rate, frames=frames),
        why=why,
    )


def _repeated(numbers: int, times: int) -> list[int]:
    return [number for number in range(numbers) for _ in range(times)]


CASES = (
    _steady("rate-23.976", "24000/1001", 48, "23.976 frames per second.", "Films in NTSC countries."),
    _steady("rate-24", "24", 48, "24 frames per second.", "Films."),
    _steady("rate-29.97", "30000/1001", 250, "29.97 frames per second, two segments.", "NTSC. No frame drifts."),
    _steady("rate-30", "30", 30, "30 frames per second.", "Phones and webcams."),
    _steady("rate-48", "48", 48, "48 frames per second.", "Some films and cameras."),
    _steady("rate-50", "50", 50, "50 frames per second.", "PAL, each field a frame."),
    _steady("rate-59.94", "60000/1001", 60, "59.94 frames per second.", "NTSC, each field a frame."),
    _steady("rate-60", "60", 60, "60 frames per second.", "Games and phones."),
    _steady("rate-20", "20", 20, "20 frames per second.", "Webcams in the dark."),
    _steady("rate-15", "15", 30, "15 frames per second.", "Webcams and calls."),
    _steady("rate-12.5", "25/2", 25, "12.5 frames per second.", "Half of PAL."),
    _steady("rate-10", "10", 20, "10 frames per second.", "Surveillance cameras."),
    _steady("rate-5", "5", 15, "5 frames per second.", "Surveillance cameras."),
    Case(
        key="rate-1",
        what="One frame per second.",
        make=card("mp4", rate="1", frames=3),
        outcome=Plays(rate="5", frames=15, numbers=_repeated(3, 5)),
        why="The lowest rate of outputs is 5: each frame is shown five times.",
    ),
    Case(
        key="rate-16",
        what="16 frames per second.",
        make=card("mp4", rate="16", frames=32),
        outcome=Plays(
            rate="20",
            frames=40,
            numbers=[number for number in range(32) for _ in range(1 + (number % 4 == 1))],
        ),
        why="The next standard rate is 20: every fourth frame is shown twice, none is lost.",
    ),
    Case(
        key="vfr-hole",
        what="A phone's video of 30 frames per second in which ten frames are missing.",
        make=card(
            "mp4",
            f"{H264} {AAC} {_KEEP_TIMES}",
            rate="30",
            frames=60,
            video=rf"{_TICKS},setpts='N*3000',select='not(between(n\,20\,29))'",
        ),
        outcome=Plays(
            rate="30",
            frames=60,
            numbers=[*range(20), *[19] * 10, *range(30, 60)],
            warnings=("variable_frame_rate",),
        ),
        why="The frame before the hole stands until the next one, as players show it.",
    ),
    Case(
        key="vfr-jitter",
        what="A phone's video whose frames come up to a third of a frame early or late.",
        make=card(
            "mp4",
            f"{H264} -bf 0 {AAC} {_KEEP_TIMES}",
            rate="30",
            frames=60,
            video=f"{_TICKS},setpts='round((N+0.3*sin(N*1.7))*3000)'",
        ),
        outcome=Plays(rate="30", frames=60),
        why="Each frame has a slot of its own on the grid of 30: nothing is lost or doubled.",
    ),
    Case(
        key="vfr-screen",
        what="A screen recording that stands still for a second.",
        make=card(
            "webm",
            "-c:v libvpx -deadline realtime -cpu-used 8 -b:v 1M -c:a libopus -fps_mode passthrough",
            rate="30",
            frames=90,
            video=r"select='not(between(n\,30\,59))'",
        ),
        outcome=Plays(
            rate="30",
            frames=90,
            numbers=[*range(30), *[29] * 30, *range(60, 90)],
            warnings=("variable_frame_rate",),
        ),
        why="The browser writes no frame while nothing changes.",
    ),
    Case(
        key="one-frame",
        what="A video of one frame, with audio.",
        make=card("mp4", frames=1),
        outcome=Plays(frames=1, beeps=()),
        why="One frame has no rate; it becomes a video of one frame at 25 per second.",
    ),
    Case(
        key="two-frames",
        what="A video of two frames.",
        make=card("mp4", f"{H264} -an", frames=2),
        outcome=Plays(frames=2, audio=0, warnings=("no_audio",)),
        why="Two frames are a segment.",
    ),
    Case(
        key="tail-one",
        what="101 frames: one more than a segment.",
        make=card("mp4", frames=101),
        outcome=Plays(frames=101),
        why="A segment of one frame would confuse players; the last segment is that much longer.",
    ),
    Case(
        key="tail-own",
        what="115 frames: a second segment of 15.",
        make=card("mp4", frames=115),
        outcome=Plays(frames=115),
        why="A tail of more than a tenth of a segment is a segment of its own.",
    ),
)
