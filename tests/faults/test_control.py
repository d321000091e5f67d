"""Orders and clocks: cancelling in every state, dispatchers that get in each other's way, poison, wrong clocks."""

import os
import signal
import textwrap
from collections import Counter
from contextlib import suppress
from email.message import Message
from pathlib import Path
from uuid import UUID

from storage.keys import video_prefix
from tests.faults.proxy import StoreFault
from tests.faults.rig import OVER, POISON_ATTEMPTS, RENEW_SECONDS, SLACK_SECONDS, Rig, alive

CANCEL_SECONDS = RENEW_SECONDS + 5 + SLACK_SECONDS


def test_24_a_queued_job_that_is_cancelled_never_starts(rig: Rig, blink: Path) -> None:
    video = rig.inspected(blink)
    for node in rig.nodes:
        rig.freeze(node)
    job = rig.transcode(video)
    assert rig.order(job, "cancel") == "cancelled"
    for node in rig.nodes:
        rig.thaw(node)
    rig.completed(rig.transcode(video))
    attempts = rig.all("SELECT attempt FROM jobs_step WHERE job_id = %s", job)
    assert {attempt for (attempt,) in attempts} == {0}


def test_24_a_running_job_that_is_cancelled_loses_its_ffmpeg(rig: Rig, clip: Path) -> None:
    rig.pace(0.1)  # a chunk of 8 s takes longer than what must end it
    job = rig.submit(clip)
    rig.until(lambda: len(rig.running(job)) == 2 and len(rig.ffmpegs()) == 2, 180)
    ffmpeg = rig.ffmpegs()
    assert rig.order(job, "cancel") == "cancelled"
    rig.until(lambda: not any(alive(pid) for pid in ffmpeg), CANCEL_SECONDS)
    assert rig.order(job, "cancel") == "job_over", "over is over"


def test_a_running_job_that_is_paused_loses_its_ffmpeg_and_goes_on_after_its_last_segment(rig: Rig, clip: Path) -> None:
    rig.pace_second_segment()
    job = rig.submit(clip)
    published = (
        "SELECT coalesce(sum(segment_count), 0) FROM videos_segmentrun run JOIN jobs_step step ON step.id = run.step_id"
        " WHERE step.kind = 'chunk' AND step.job_id = %s"
    )
    rig.until(lambda: rig.one(published, job) > (0,) and len(rig.ffmpegs()) == 2, 180)
    ffmpeg = rig.ffmpegs()
    assert rig.order(job, "pause") == "paused"
    rig.until(lambda: not any(alive(pid) for pid in ffmpeg), CANCEL_SECONDS)
    before = rig.one(published, job)
    rig.pace(0)
    rig.completed(rig.submit(clip))  # there is room, and it is not taken
    assert (rig.state(job), rig.one(published, job)) == ("paused", before)
    assert rig.order(job, "resume") == "queued"
    rig.completed(job)


def test_24_a_job_that_is_cancelled_while_it_uploads_leaves_what_was_published_and_nothing_else(
    rig: Rig, clip: Path
) -> None:
    video = rig.inspected(clip)

    def crawl(method: str, path: str, _headers: Message) -> StoreFault | None:
        return StoreFault(bytes_per_second=20_000) if method == "PUT" else None

    rig.worker_store.judge = crawl
    job = rig.transcode(video)
    rig.until(lambda: bool(objects(rig, video)), 180)
    assert rig.order(job, "cancel") == "cancelled"
    rig.worker_store.heal()
    rig.until(lambda: not running(rig), CANCEL_SECONDS)
    published = {
        f"{prefix}{number}.m4s"
        for prefix, first, count in rig.all("SELECT key_prefix, first_segment, segment_count FROM videos_segmentrun")
        for number in range(first, first + count)
    }
    rig.until(lambda: objects(rig, video) <= published, CANCEL_SECONDS)


def test_24_a_job_that_is_done_cannot_be_cancelled(rig: Rig, blink: Path) -> None:
    job = rig.submit(blink)
    rig.completed(job)
    assert rig.order(job, "cancel") == "job_over"


def objects(rig: Rig, video: str) -> set[str]:
    return {stored.key for stored in rig.store().list(video_prefix(UUID(video))) if stored.key.endswith(".m4s")}


def running(rig: Rig) -> bool:
    return bool(rig.ffmpegs())


def test_25_many_who_reclaim_the_same_leases_move_each_step_once(rig: Rig, clip: Path) -> None:
    rig.pace(0.25)
    job = rig.submit(clip)
    rig.until(lambda: len(rig.running(job)) == 2 and len(rig.ffmpegs()) == 2, 180)
    held = {step.id: step.attempt for step in rig.running(job)}
    for node in rig.nodes:
        rig.freeze(node)  # so that nobody renews
    rig.pace(0)
    taken = rig.manage(
        textwrap.dedent(f"""
        from concurrent.futures import ThreadPoolExecutor
        from threading import Barrier
        from django.db import connection
        from jobs.lifecycle.failures import leases_reclaim
        from jobs.wiring import job_policy

        together = Barrier(9)

        def reclaim(_):
            connection.ensure_connection()
            together.wait()
            try:
                return leases_reclaim(policy=job_policy())
            finally:
                connection.close()

        with ThreadPoolExecutor(8) as pool:
            answers = [pool.submit(reclaim, number) for number in range(8)]
            with connection.cursor() as cursor:
                cursor.execute(
                    "UPDATE jobs_step SET lease_expires_at = now() - interval '1 s' WHERE id = ANY(%s::uuid[])",
                    [{list(held)!r}],
                )
            together.wait()
            print(sum(answer.result() for answer in answers))
        """)  # noqa: S608 - identifiers of our own rows
    )
    by_dispatchers = sum(
        step in line and '"lease_reclaimed"' in line
        for dispatcher in (rig.dispatcher, rig.second_dispatcher)
        for line in rig.log(dispatcher).splitlines()
        for step in held
    )
    assert int(taken.split()[-1]) + by_dispatchers == len(held), "each was reclaimed by one of them"
    for node in rig.nodes:
        rig.thaw(node)
    rig.completed(job)
    assert {step: rig.step(step)[1:] for step in held} == {step: (attempt + 1, 0) for step, attempt in held.items()}


def test_26_poison_is_put_away_and_others_are_not_harmed(rig: Rig, clip: Path) -> None:
    rig.pace(1)  # so that no worker publishes anything before it is killed
    jobs = [rig.submit(clip), rig.submit(clip)]

    def over() -> bool:
        for step in rig.running(jobs[0]):
            with suppress(ProcessLookupError):
                os.kill(step.pid, signal.SIGKILL)
        return rig.state(jobs[0]) in OVER

    rig.until(over, 600)
    rig.pace(0)
    assert rig.finished(*jobs) == [("failed", "poison"), ("completed", "")]
    attempts = Counter(attempt for (attempt,) in rig.all("SELECT attempt FROM jobs_step WHERE job_id = %s", jobs[0]))
    assert max(attempts) == POISON_ATTEMPTS, "so many attempts are allowed to end in a dead worker"


def test_23_workers_whose_clocks_are_wrong_work_like_any_others(rig: Rig, clip: Path) -> None:
    with rig.wrong_clocks(3600):
        rig.pace(0.5)
        job = rig.submit(clip)
        rig.until(lambda: len(rig.running(job)) == 2, 180)
        nodes = rig.all("SELECT DISTINCT node FROM jobs_step WHERE job_id = %s AND state = 'running'", job)
        assert len(nodes) == 2, "both take part"
        rig.completed(job)
        steps = rig.all("SELECT attempt, failures FROM jobs_step WHERE job_id = %s", job)
        assert set(steps) == {(1, 0)}
        seen = rig.all("SELECT last_seen > now() + interval '1 min' FROM jobs_node")
        assert (True,) not in seen, "what a node says of itself is in the database's time"
