"""Every kind of source through the whole product: a player shows the uploaded frames."""

from contextlib import closing
from pathlib import Path

import pytest

from embedded.client import Client, Json
from tests.acceptance.playing import Player, finished
from tests.ffmpeg.cases import CASES, Sources
from tests.ffmpeg.golden import beep_seconds, shown_numbers, start_and_duration

KINDS = [name for name, case in CASES.items() if case.played]


@pytest.fixture(scope="module")
def jobs(client: Client, sources: Sources) -> dict[str, Json]:
    """Jobs of all sources, started before the first test."""
    return {name: _started(client, sources(name)) for name in KINDS}


def _started(client: Client, source: Path) -> Json:
    video = client.upload(source, lambda _: None)
    return client.transcode(video["id"], {"preset": "ultrafast"})


@pytest.mark.parametrize("kind", KINDS)
def test_what_goes_in_comes_out(kind: str, client: Client, jobs: dict[str, Json], tmp_path: Path) -> None:
    case = CASES[kind]
    job = finished(client, jobs[kind])
    assert job["state"] == "completed", job["error"]
    playback = client.playback(job["video_id"])
    with closing(Player()) as player:
        addresses = player.renditions(playback["hls_url"])
        files = {name: player.save(url, tmp_path / f"{name}.mp4") for name, url in addresses.items()}
    assert ("audio" in files) == case.audio
    (video,) = (path for name, path in files.items() if name != "audio")
    numbers = shown_numbers(video, turned=case.turned)
    assert len(numbers) == case.total_frames
    if case.constant:
        assert numbers == case.shown(range(case.first_number, case.first_number + case.frames))
    assert start_and_duration(video)[0] == 0
    if case.audio:
        assert beep_seconds(files["audio"]) == pytest.approx(case.beeps(), abs=float(1 / case.rate))
