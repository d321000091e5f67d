"""The rule which streams are the video and the audio, as a table."""

import pytest

from tests.unit.transcoding.builders import a_video_track, an_audio_track, ffprobe_json
from transcoding.probing.media import parse_ffprobe

DEFAULT = {"default": 1}
COVER = {"attached_pic": 1}


@pytest.mark.parametrize(
    ("videos", "chosen"),
    [
        ([{}, {}], 0),
        ([{}, {"disposition": DEFAULT}], 1),
        ([{"disposition": DEFAULT}, {"width": 3840, "height": 2160}], 0),
        ([{}, {"width": 3840, "height": 2160}], 1),
        ([{"duration": "5"}, {"duration": "60"}], 1),
        ([{"disposition": {**COVER, **DEFAULT}}, {}], 1),
        ([{"disposition": {"timed_thumbnails": 1}}, {}], 1),
        ([{"codec_name": "mjpeg", "nb_frames": "1", "disposition": DEFAULT, "width": 4000}, {"nb_frames": "50"}], 1),
        ([{"duration": "0.04", "width": 4000, "disposition": DEFAULT}, {"duration": "60"}], 1),
        ([{"codec_name": "jpeg2000", "disposition": DEFAULT, "width": 4000}, {}], 1),
        ([{"nb_frames": "1"}, {"nb_frames": "1", "width": 4000}], 1),
    ],
    ids=str,
)
def test_the_video(videos: list[dict[str, object]], chosen: int) -> None:
    assert parse_ffprobe(ffprobe_json(*(a_video_track(**fields) for fields in videos))).video.index == chosen


@pytest.mark.parametrize(
    ("tracks", "chosen"),
    [
        ([{}, {}], [1, 2]),
        ([{}, {"disposition": DEFAULT}], [2, 1]),
        ([{}, {"channels": 6}], [2, 1]),
        ([{"disposition": DEFAULT}, {"channels": 6}], [1, 2]),
        ([{"duration": "5"}, {"duration": "60"}], [2, 1]),
        ([{"disposition": {"visual_impaired": 1, **DEFAULT}}, {}], [2, 1]),
        ([{"codec_name": "wmavoice", "disposition": DEFAULT}, {}], [2]),
        ([{"codec_name": "wmavoice"}], []),
    ],
    ids=str,
)
def test_the_audio(tracks: list[dict[str, object]], chosen: list[int]) -> None:
    media = parse_ffprobe(ffprobe_json(a_video_track(), *(an_audio_track(**fields) for fields in tracks)))
    assert [track.index for track in media.audio] == chosen


def test_no_more_audio_tracks_are_taken_than_a_listener_would_choose_from() -> None:
    media = parse_ffprobe(ffprobe_json(a_video_track(), *(an_audio_track() for _ in range(12))))
    assert [track.index for track in media.audio] == [1, 2, 3, 4, 5, 6, 7, 8]


def test_a_cover_alone_is_no_video() -> None:
    assert parse_ffprobe(ffprobe_json(a_video_track(disposition=COVER), an_audio_track())).video_stream is None
