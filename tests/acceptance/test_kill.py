"""A worker that is killed in the middle of a chunk costs what it had not published, and nothing else."""

import os
import signal
import time
from contextlib import closing
from fractions import Fraction
from pathlib import Path

import psycopg
import pytest

from embedded.client import Client
from embedded.stack import Stack
from tests.acceptance.playing import Player, finished
from tests.ffmpeg.golden import shown_numbers
from tests.ffmpeg.sources import AAC, H264, Card, make


@pytest.fixture(scope="module")
def long_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clip that takes some seconds to encode: larger, and hard to compress."""
    card = Card(rate=Fraction(25), frames=1500, width=1280, height=720)
    return make(tmp_path_factory.mktemp("long") / "long.mp4", card, *H264, *AAC)


def _running_chunk(database: psycopg.Connection[tuple[str, int, int]]) -> tuple[str, int, int] | None:
    """Step, worker process and published segments of a chunk that has published something and has more to do."""
    return database.execute(
        "SELECT id::text, worker_pid, units_done FROM jobs_step"
        " WHERE kind = 'chunk' AND state = 'running' AND units_done > 0 AND units_done < units_total"
    ).fetchone()


def _children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_a_job_survives_kill_9_of_a_worker_in_mid_chunk(
    client: Client, stack: Stack, long_clip: Path, tmp_path: Path
) -> None:
    video = client.upload(long_clip, lambda _: None)
    job = client.transcode(video["id"], {"resolution": "360p", "preset": "slow"})
    with psycopg.connect(stack.postgresql.url, autocommit=True) as database:
        deadline = time.monotonic() + 60
        while (found := _running_chunk(database)) is None:
            assert time.monotonic() < deadline, "no chunk was caught in the middle"
            time.sleep(0.02)
        step, pid, published = found
        ffmpeg = _children_of(pid)
        os.kill(pid, signal.SIGKILL)
        killed_at = time.monotonic()
        while any(Path(f"/proc/{child}").exists() for child in ffmpeg):
            assert time.monotonic() - killed_at < 2, "ffmpeg outlived its worker"
            time.sleep(0.02)
        job = finished(client, job)
        assert job["state"] == "completed", job["error"]
        runs = database.execute(
            "SELECT attempt, min(first_segment), sum(segment_count) FROM videos_segmentrun"
            " WHERE step_id = %s GROUP BY attempt ORDER BY attempt",
            [step],
        ).fetchall()
        row = database.execute("SELECT attempt, failures FROM jobs_step WHERE id = %s", [step]).fetchone()
    assert row == (2, 0), "one more attempt, and nobody is charged with a failure"
    assert [attempt for attempt, _, _ in runs] == [1, 2]
    assert runs[0][2] >= published
    assert runs[1][1] == runs[0][1] + runs[0][2], "the second attempt goes on from the first unpublished segment"
    with closing(Player()) as player:
        url = player.renditions(client.playback(video["id"])["hls_url"])["360p"]
        assert shown_numbers(player.save(url, tmp_path / "360p.mp4")) == list(range(1500))
