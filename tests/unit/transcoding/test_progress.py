from transcoding.commands.progress import Progress, parse_progress

REPORT = """\
frame=N/A
fps=0.00
out_time=N/A
progress=continue
frame=   48
fps=47.81
stream_0_0_q=28.0
bitrate=N/A
total_size=44
out_time_us=1833333
speed=1.83x
progress=continue
unknown_key=7
frame=96
progress=end
"""


def test_blocks_become_events() -> None:
    assert list(parse_progress(REPORT.splitlines())) == [
        Progress(frame=0, ended=False),
        Progress(frame=48, ended=False),
        Progress(frame=96, ended=True),
    ]


def test_a_frame_that_is_not_a_number_is_ignored() -> None:
    lines = ["frame=5", "progress=continue", "frame=N/A", "progress=continue", "frame=-1", "progress=end"]
    assert [event.frame for event in parse_progress(lines)] == [5, 5, 5]


def test_a_block_that_is_not_whole_is_no_event() -> None:
    assert list(parse_progress(["frame=5", "fps=1", "garbage", ""])) == []


def test_a_number_of_frames_that_no_run_has_is_ignored() -> None:
    """int() raises for thousands of digits, and nobody could store hundreds."""
    lines = ["frame=7", f"frame={'9' * 5000}", f"frame={'9' * 30}", "progress=continue"]
    assert list(parse_progress(lines)) == [Progress(frame=7, ended=False)]
