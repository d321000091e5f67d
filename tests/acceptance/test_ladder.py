"""A ladder from a real video, over HTTP and through every process of the product."""

from contextlib import closing
from pathlib import Path

import httpx2
import pytest

from embedded.client import ApiError, Client
from tests.acceptance.playing import Player, completed
from tests.ffmpeg.golden import beep_seconds, key_frame_seconds, shown_numbers


@pytest.fixture(scope="module")
def hls_url(client: Client, clip: Path) -> str:
    return str(completed(client, clip)["hls_url"])


@pytest.fixture(scope="module")
def files(hls_url: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """All renditions as files, fetched as by a player."""
    folder = tmp_path_factory.mktemp("played")
    with closing(Player()) as player:
        return {name: player.save(url, folder / f"{name}.mp4") for name, url in player.renditions(hls_url).items()}


def test_the_ladder_has_the_rungs_that_fit(files: dict[str, Path]) -> None:
    assert set(files) == {"360p", "audio"}


def test_every_frame_of_the_source_is_shown_once_and_in_order(files: dict[str, Path]) -> None:
    assert shown_numbers(files["360p"]) == list(range(749))


def test_key_frames_lie_on_the_grid(files: dict[str, Path]) -> None:
    assert [round(float(time) / 2.002, 3) for time in key_frame_seconds(files["360p"])] == list(range(13))


def test_audio_is_in_step_with_the_video(files: dict[str, Path]) -> None:
    beeps = beep_seconds(files["audio"])
    assert len(beeps) == 12
    assert beeps == pytest.approx([1.0 + 2 * beep for beep in range(12)], abs=1 / 30)


def test_segments_come_by_redirect_from_a_private_bucket(hls_url: str) -> None:
    with closing(Player()) as player, httpx2.Client(trust_env=False, timeout=120) as plain:
        segment = player.playlist(player.renditions(hls_url)["360p"]).segments[0]
        answer = plain.get(segment)
        assert answer.status_code == httpx2.codes.FOUND
        assert answer.headers["access-control-allow-origin"] == "*"
        stored = answer.headers["location"]
        assert plain.get(stored).status_code == httpx2.codes.OK
        assert plain.get(stored.partition("?")[0]).status_code == httpx2.codes.FORBIDDEN


def test_one_rendition_of_the_wanted_size_and_bitrate(client: Client, clip: Path) -> None:
    playback = completed(client, clip, resolution="240p", bitrate=250_000, preset="ultrafast")
    videos = [rendition for rendition in playback["renditions"] if rendition["kind"] == "video"]
    assert [(rendition["name"], rendition["height"]) for rendition in videos] == [("240p", 240)]


def test_a_deleted_video_is_gone(client: Client, clip: Path) -> None:
    video_id = client.upload(clip, lambda _: None)["id"]
    client.delete(video_id)
    with pytest.raises(ApiError, match="video_not_found"):
        client.playback(video_id)
