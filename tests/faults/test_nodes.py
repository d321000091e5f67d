"""One video, two nodes, one of them killed again and again."""

import itertools
import time
from contextlib import closing
from fractions import Fraction
from pathlib import Path

import pytest

from tests.acceptance.playing import Player
from tests.faults.conftest import FAST
from tests.faults.rig import OVER, SLACK_SECONDS, Rig
from tests.ffmpeg.golden import beep_seconds, shown_numbers
from tests.ffmpeg.sources import AAC, Card, make

FRAMES = 1200
KILL_EVERY_SECONDS = 10


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Most of a minute: 12 segments in 6 chunks of 8 s."""
    card = Card(rate=Fraction(25), frames=FRAMES, width=192, height=108)
    return make(tmp_path_factory.mktemp("film") / "film.mp4", card, *FAST, *AAC)


def test_28_two_nodes_share_a_video_and_one_is_killed_every_ten_seconds(rig: Rig, film: Path, tmp_path: Path) -> None:
    rig.pace(1.5)  # a chunk is 5.3 s of work
    job = rig.submit(film)
    rig.until(lambda: len(rig.ffmpegs()) == 2, 180)
    lost = []
    for node in itertools.cycle(rig.nodes):
        if _over_within(rig, job, KILL_EVERY_SECONDS):
            break
        lost += _work_lost(rig, rig.session(node))
        rig.kill(node)
        node.start()  # its supervisor
    rig.completed(job)
    print(f"encoding lost per kill: {', '.join(f'{seconds:.1f} s' for seconds in lost)}")  # noqa: T201 - a result
    assert lost
    assert max(lost) < 5 + SLACK_SECONDS
    (video,) = rig.one("SELECT video_id::text FROM jobs_job WHERE id = %s", job)
    with closing(Player()) as player, closing(rig.client()) as client:
        files = {
            name: player.save(url, tmp_path / f"{name}.mp4")
            for name, url in player.renditions(client.playback(video)["hls_url"]).items()
        }
    (video,) = (path for name, path in files.items() if name != "audio")
    assert shown_numbers(video) == list(range(FRAMES)), "not a frame is lost or doubled"
    assert beep_seconds(files["audio"]) == pytest.approx([1.0 + 2 * beep for beep in range(FRAMES // 50)], abs=1 / 25)


def _over_within(rig: Rig, job: str, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if rig.state(job) in OVER:
            return True
        time.sleep(0.1)
    return False


def _work_lost(rig: Rig, pids: list[int]) -> list[float]:
    """Seconds that each running step of these processes has worked since it last published something."""
    rows = rig.all(
        "SELECT extract(epoch FROM clock_timestamp() - greatest(s.claimed_at, max(r.published_at)))::float"
        " FROM jobs_step s LEFT JOIN videos_segmentrun r ON r.step_id = s.id"
        " WHERE s.state = 'running' AND s.worker_pid = ANY(%s) GROUP BY s.id",
        pids,
    )
    return [seconds for (seconds,) in rows]
