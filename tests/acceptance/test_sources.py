"""Every kind of source through the whole product: a player shows the uploaded frames."""

from contextlib import closing
from pathlib import Path

import pytest

from embedded.client import Client, Json
from tests.acceptance.playing import Player, finished
from tests.ffmpeg.cases import CASES, PLAYED, Sources
from tests.ffmpeg.golden import beep_seconds, shown_numbers, start_and_duration

DISTINCT = {
    "ntsc_open_gop", "varying", "odd_rate", "transport_stream", "tuned_in", "mpeg4_in_avi", "vp9_in_webm", "late_video",
    "late_audio", "audio_is_longer", "silent", "portrait", "ten_frames",
}  # fmt: skip
"""Sources that take ways of their own through the product; how each is encoded is shown in tests/ffmpeg."""


@pytest.fixture(scope="module")
def jobs(request: pytest.FixtureRequest, client: Client, sources: Sources) -> dict[str, Json]:
    """Jobs of all sources that are tested, started before the first test."""
    thorough = request.config.getoption("--thorough")
    return {name: _started(client, sources(name)) for name in PLAYED if thorough or name in DISTINCT}


def _started(client: Client, source: Path) -> Json:
    video = client.upload(source, lambda _: None)
    return client.transcode(video["id"], {"preset": "ultrafast"})


@pytest.mark.parametrize(
    "kind", [pytest.param(name, marks=[] if name in DISTINCT else [pytest.mark.thorough]) for name in PLAYED]
)
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
