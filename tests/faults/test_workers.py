"""Workers and encoders that are killed, frozen and ended."""

import os
import signal
import time
from contextlib import closing
from pathlib import Path
from uuid import UUID

import pytest

from storage.keys import video_prefix
from tests.acceptance.playing import Player
from tests.faults.rig import (
    LEASE_SECONDS,
    RENEW_SECONDS,
    SLACK_SECONDS,
    STALL_SECONDS,
    Rig,
    RunningStep,
    alive,
    children,
)
from tests.ffmpeg.golden import shown_numbers


@pytest.fixture
def chunk(rig: Rig, short_clip: Path) -> RunningStep:
    """A chunk in the middle of an encode, which would go on for a minute."""
    rig.pace_second_segment()
    chunk = rig.chunk_in_the_middle(rig.submit(short_clip))
    rig.pace(0)  # what begins after the fault need not wait
    return chunk


def attempts(rig: Rig, chunk: RunningStep) -> list[tuple[int, int, int]]:
    """Attempt, first segment and number of segments of what each attempt published of a chunk."""
    return [
        (attempt, first, int(count))
        for attempt, first, count in rig.all(
            "SELECT attempt, min(first_segment), sum(segment_count) FROM videos_segmentrun WHERE step_id = %s"
            " GROUP BY attempt ORDER BY attempt",
            chunk.id,
        )
    ]


def resumed_where_it_stopped(rig: Rig, chunk: RunningStep) -> None:
    (one, first, count), (two, start, rest) = attempts(rig, chunk)
    assert (one, two) == (1, 2)
    assert count >= chunk.units_done
    assert start == first + count, "the second attempt goes on from the first unpublished segment"
    assert count + rest == chunk.units_total


def test_01_a_killed_child_costs_what_it_had_not_published(rig: Rig, chunk: RunningStep, tmp_path: Path) -> None:
    ffmpeg = rig.ffmpegs_of(chunk.pid)
    os.kill(chunk.pid, signal.SIGKILL)
    rig.until(lambda: not any(alive(pid) for pid in ffmpeg), 2 + SLACK_SECONDS)
    rig.completed(chunk.job)
    assert rig.step(chunk.id) == ("done", 2, 0), "one more attempt, and nobody is charged with a failure"
    resumed_where_it_stopped(rig, chunk)
    (video,) = rig.one("SELECT video_id::text FROM jobs_job WHERE id = %s", chunk.job)
    with closing(Player()) as player, closing(rig.client()) as client:
        addresses = player.renditions(client.playback(video)["hls_url"])
        (video,) = (url for name, url in addresses.items() if name != "audio")
        assert shown_numbers(player.save(video, tmp_path / "video.mp4")) == list(range(200))


def test_02_a_killed_worker_takes_its_children_and_their_ffmpeg_along(rig: Rig, chunk: RunningStep) -> None:
    ffmpeg = rig.ffmpegs_of(chunk.pid)
    node = rig.node_of(chunk.pid)
    rig.kill(node)
    rig.until(lambda: not any(alive(pid) for pid in (chunk.pid, *ffmpeg)), 2 + SLACK_SECONDS)
    rig.completed(chunk.job)
    assert rig.step(chunk.id) == ("done", 2, 0)
    resumed_where_it_stopped(rig, chunk)


def test_03_a_frozen_worker_wakes_up_as_a_zombie_and_changes_nothing(rig: Rig, chunk: RunningStep) -> None:
    node = rig.node_of(chunk.pid)
    ffmpeg = rig.ffmpegs_of(chunk.pid)
    rig.freeze(node)
    rig.until(lambda: rig.step(chunk.id)[1] == 2, LEASE_SECONDS + 5 + SLACK_SECONDS)
    rig.thaw(node)
    rig.until(lambda: not any(alive(pid) for pid in ffmpeg), RENEW_SECONDS + 2 + SLACK_SECONDS)
    rig.completed(chunk.job)
    assert rig.step(chunk.id) == ("done", 2, 0)
    resumed_where_it_stopped(rig, chunk)
    (video,) = rig.one("SELECT video_id FROM jobs_job WHERE id = %s", chunk.job)
    published = {
        f"{prefix}{number}.m4s"
        for prefix, first, count in rig.all("SELECT key_prefix, first_segment, segment_count FROM videos_segmentrun")
        for number in range(first, first + count)
    }
    rig.until(
        lambda: objects(rig, video) <= published, 5 + SLACK_SECONDS, lambda: f"left: {objects(rig, video) - published}"
    )


def test_03_a_process_frozen_in_a_transaction_holds_up_nobody(rig: Rig, chunk: RunningStep) -> None:
    """It has locked the step: neither its own renewal nor anybody who takes it over could go on."""
    script = (
        "import signal; from django.db import transaction; from jobs.models import Step\n"
        "with transaction.atomic():\n"
        f"    Step.objects.select_for_update().get(id={chunk.id!r})\n"
        "    os.kill(os.getpid(), signal.SIGSTOP)\n"
    )
    frozen = rig.start_script(script)
    try:
        rig.until(lambda: stopped(frozen.pid), 60)
        rig.completed(chunk.job)
        assert stopped(frozen.pid)
    finally:
        frozen.kill()
        frozen.wait()


def stopped(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].startswith("T")


def objects(rig: Rig, video: UUID) -> set[str]:
    return {stored.key for stored in rig.store().list(video_prefix(video)) if stored.key.endswith(".m4s")}


def test_04_a_worker_that_ends_releases_what_does_not_fit(rig: Rig, clip: Path) -> None:
    rig.pace(0.1)  # a chunk of 8 s takes longer than the grace period of a minute
    job = rig.submit(clip)
    rig.until(lambda: any(rig.ffmpegs_of(step.pid) for step in rig.running(job)), 180)
    chunk = next(step for step in rig.running(job) if rig.ffmpegs_of(step.pid))
    node, ffmpeg = rig.node_of(chunk.pid), rig.ffmpegs_of(chunk.pid)
    rig.pace(0)
    os.kill(rig.pid(node), signal.SIGTERM)
    rig.until(lambda: not any(alive(pid) for pid in ffmpeg), 3 + SLACK_SECONDS)
    rig.until(lambda: not node.running(), 5 + SLACK_SECONDS)
    for other in rig.nodes:
        if other.running():
            for step in rig.running(job):
                os.kill(step.pid, signal.SIGKILL)  # its slow encode need not be waited for
    rig.completed(job)
    assert rig.step(chunk.id) == ("done", 2, 0), "released uncharged"


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGQUIT])
def test_05_a_second_signal_ends_a_worker_at_once(rig: Rig, short_clip: Path, second: signal.Signals) -> None:
    rig.pace_second_segment()  # by the speed of the first one, what is left of a chunk fits the grace period
    chunk = rig.chunk_in_the_middle(rig.submit(short_clip))
    node, ffmpeg = rig.node_of(chunk.pid), rig.ffmpegs_of(chunk.pid)
    everything = [rig.pid(node), *children(rig.pid(node)), *ffmpeg]
    rig.pace(0)
    lease = "SELECT lease_expires_at FROM jobs_step WHERE id = %s"
    held = rig.one(lease, chunk.id)
    rig.until(lambda: rig.one(lease, chunk.id) != held, 180)  # by then ffmpeg has reported progress
    os.kill(rig.pid(node), signal.SIGTERM)
    time.sleep(0.5)
    assert alive(ffmpeg[0]), "the rest fits, so it goes on"
    os.kill(rig.pid(node), second)
    rig.until(lambda: not any(alive(pid) for pid in everything), 5 + SLACK_SECONDS)
    rig.completed(chunk.job)


def test_06_a_killed_ffmpeg_is_a_failure_that_is_tried_again(rig: Rig, chunk: RunningStep) -> None:
    (ffmpeg,) = rig.ffmpegs_of(chunk.pid)
    os.kill(ffmpeg, signal.SIGKILL)
    rig.completed(chunk.job)
    assert rig.step(chunk.id) == ("done", 2, 1)
    assert '"code": "encoder_failed"' in rig.log(rig.node_of(chunk.pid))
    resumed_where_it_stopped(rig, chunk)


def test_07_an_ffmpeg_that_hangs_is_ended_by_the_watchdog(rig: Rig, chunk: RunningStep) -> None:
    (ffmpeg,) = rig.ffmpegs_of(chunk.pid)
    os.kill(ffmpeg, signal.SIGSTOP)
    leases = set()

    def ended() -> bool:
        leases.update(rig.all("SELECT lease_expires_at FROM jobs_step WHERE id = %s AND attempt = 1", chunk.id))
        return not alive(ffmpeg)

    rig.until(ended, STALL_SECONDS + 2 + SLACK_SECONDS)
    assert len(leases - {(None,)}) <= 3, "only what moved, or computed, before it hung renews its lease once more"
    rig.completed(chunk.job)
    assert rig.step(chunk.id) == ("done", 2, 1)
    assert '"code": "process_stalled"' in rig.log(rig.node_of(chunk.pid))
    resumed_where_it_stopped(rig, chunk)
