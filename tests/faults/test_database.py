"""PostgreSQL restarted, silent, and gone in the very moment of a commit."""

import os
import signal
import threading
from contextlib import closing
from pathlib import Path

import httpx2

from tests.faults.rig import LEASE_SECONDS, SLACK_SECONDS, Rig, alive


def test_13_an_api_killed_right_after_the_commit_has_accepted_the_job(rig: Rig, blink: Path) -> None:
    video = rig.inspected(blink)
    api = rig.pid(rig.api)

    def kill_at_commit(sent: bytes) -> bool:
        if b"COMMIT" not in sent:
            return False
        os.kill(api, signal.SIGKILL)
        return True

    rig.api_database.watch(kill_at_commit)
    try:
        with closing(rig.client()) as client:
            client.transcode(video, {"preset": "ultrafast"})
    except httpx2.TransportError:
        rig.api_database.heal()
    else:
        raise AssertionError("the API outlived its commit")
    ((job,),) = rig.all("SELECT id::text FROM jobs_job WHERE video_id = %s", video)
    rig.jobs.append(job)
    rig.completed(job)


def test_15_a_restart_of_postgresql_costs_no_attempt(rig: Rig, clip: Path) -> None:
    rig.pace_second_segment(seconds=10)
    job = rig.submit(clip)
    rig.chunk_in_the_middle(job)
    rig.postgresql.close()
    rig.postgresql.start()
    rig.postgresql.wait_ready()
    rig.completed(job)
    steps = rig.all("SELECT kind, attempt FROM jobs_step WHERE job_id = %s AND kind <> 'finish'", job)
    assert {attempt for _, attempt in steps} == {1}


def test_16_a_worker_that_cannot_prove_its_lease_kills_its_ffmpeg(rig: Rig, clip: Path) -> None:
    rig.pace(0.1)  # the encode would outlast the lease by far
    job = rig.submit(clip)
    rig.until(lambda: any(rig.ffmpegs_of(step.pid) for step in rig.running(job)), 180)
    ffmpeg = rig.ffmpegs()
    rig.pace(0)
    rig.worker_database.hang()
    rig.until(
        lambda: not any(alive(pid) for pid in ffmpeg), LEASE_SECONDS + SLACK_SECONDS, lambda: _living(rig, ffmpeg)
    )
    rig.worker_database.heal()
    rig.completed(job)
    failures = rig.all("SELECT failures FROM jobs_step WHERE job_id = %s", job)
    assert {count for (count,) in failures} == {0}, "an unavailable database is not the step's failure"


def test_16_a_worker_that_waits_for_a_silent_database_gives_up_before_its_lease_ends(rig: Rig, clip: Path) -> None:
    rig.pace_second_segment(seconds=8)  # the encode is over before its lease is; its worker is not
    job = rig.submit(clip)
    chunk = rig.chunk_in_the_middle(job)
    ffmpeg = rig.ffmpegs()
    rig.pace(0)
    rig.worker_database.hang()  # the next segments are published into the void
    rig.until(
        lambda: not any(alive(pid) for pid in ffmpeg), LEASE_SECONDS + SLACK_SECONDS, lambda: _living(rig, ffmpeg)
    )
    rig.worker_database.heal()
    rig.completed(job)
    assert rig.step(chunk.id)[2] == 0


def test_17_every_other_commit_is_cut_off_before_its_answer(rig: Rig, clip: Path) -> None:
    video = rig.inspected(clip)
    commits = 0
    lock = threading.Lock()

    def cut_every_other_commit(sent: bytes) -> bool:
        nonlocal commits
        if b"COMMIT" not in sent:
            return False
        with lock:
            commits += 1
            return commits % 2 == 0

    rig.worker_database.watch(cut_every_other_commit)
    job = rig.transcode(video)
    rig.completed(job)
    rig.worker_database.heal()
    assert commits > 6
    steps = rig.all("SELECT kind, attempt, failures FROM jobs_step WHERE job_id = %s", job)
    assert {(attempt, failures) for _, attempt, failures in steps} == {(1, 0)}, "everything was done once"


def _living(rig: Rig, pids: list[int]) -> str:
    """Details of processes that should be gone."""
    found = [Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ") for pid in pids if alive(pid)]
    return "\n".join([*found, *(rig.log(node)[-3000:] for node in rig.nodes)])
