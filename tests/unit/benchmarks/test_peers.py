import json
from pathlib import Path

import pytest

from benchmarks import peers
from benchmarks.bare import LADDER
from benchmarks.peers import bitrates, inputs, pipeline


def test_video_and_audio_of_the_source_are_inputs() -> None:
    found = inputs(Path("/films/a.mp4"))["inputs"]
    assert {each["media_type"] for each in found} == {"video", "audio"}
    assert {each["name"] for each in found} == {"/films/a.mp4"}


def test_the_pipeline_makes_segments_of_four_seconds_for_hls_and_dash() -> None:
    config = pipeline(LADDER)
    assert (config["streaming_mode"], config["segment_size"], config["segment_per_file"]) == ("vod", 4, True)
    assert config["manifest_format"] == ["hls", "dash"]


def test_every_rung_has_the_size_and_bitrate_of_the_ladder() -> None:
    sizes = bitrates(LADDER)["video_resolutions"]
    assert pipeline(LADDER)["resolutions"] == list(sizes)
    assert sizes == {
        "720p": {"max_width": 1280, "max_height": 720, "bitrates": {"h264": "3000000"}},
        "480p": {"max_width": 854, "max_height": 480, "bitrates": {"h264": "1500000"}},
        "360p": {"max_width": 640, "max_height": 360, "bitrates": {"h264": "800000"}},
    }


def test_nothing_is_uploaded_encrypted_or_synchronised_by_url() -> None:
    for config in (inputs(Path("/films/a.mp4")), pipeline(LADDER), bitrates(LADDER)):
        assert "://" not in json.dumps(config)
    assert not {"encryption", "utc_timings"} & pipeline(LADDER).keys()


def test_without_its_virtualenv_the_measurement_names_the_set_up(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(peers, "_STREAMER", str(tmp_path / "absent"))
    with pytest.raises(RuntimeError, match="scripts/setup bench"):
        peers._versions()


def test_missing_files_are_an_error(tmp_path: Path) -> None:
    for name in ("hls.m3u8", "video_720p_3000000_h264_1.mp4", "audio_und_2c_128k_aac_1.mp4"):
        (tmp_path / name).touch()
    with pytest.raises(RuntimeError, match=r"left out dash\.mpd, video_480p_\*_1\.mp4, video_360p_\*_1\.mp4"):
        peers._last_written(tmp_path)
