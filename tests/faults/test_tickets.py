"""Wake-ups that are doubled, lost and undeliverable: the rows in PostgreSQL are the queue."""

import os
import signal
import time
from contextlib import closing
from pathlib import Path

from celery import Celery
from redis import Redis

from jobs.dispatching.tickets import WORK_TASK, node_queue
from tests.faults.rig import SLACK_SECONDS, Rig

BACKLOG = 16
BOUND_SECONDS = 1
"""Until a job is accepted."""


def flush(rig: Rig) -> None:
    with Redis.from_url(rig.redis.url) as server:
        server.flushall()


def restart_redis(rig: Rig) -> None:
    rig.redis.start()
    rig.redis.wait_ready()


def accepted(rig: Rig, video: str) -> tuple[str, float]:
    """Request a transcode; the job and how many seconds its client has waited for the answer."""
    with closing(rig.client()) as client:
        started = time.monotonic()
        job = client.transcode(video, {"preset": "ultrafast"})
        seconds = time.monotonic() - started
    rig.jobs.append(job["id"])
    return str(job["id"]), seconds


def accepted_at_once(rig: Rig, video: str, usual: float) -> str:
    """Request a transcode, and be answered although nobody answers the API: it needs nothing of Redis.

    `usual`: seconds that this machine, which may be busy, took for it before.
    """
    job, seconds = accepted(rig, video)
    assert seconds < BOUND_SECONDS + 10 * usual
    return job


def shown(rig: Rig, *jobs: str) -> set[str]:
    """The states of jobs as the API shows them, which keeps what it shows in Redis and limits who asks by it."""
    with closing(rig.client()) as client:
        return {client.job(job)["state"] for job in jobs}


def attempts(rig: Rig, *jobs: str) -> set[int]:
    found = rig.all("SELECT attempt FROM jobs_step WHERE job_id = ANY(%s)", list(jobs))
    return {attempt for (attempt,) in found}


def test_08_a_ticket_delivered_fifty_times_starts_nothing_twice(rig: Rig, clip: Path) -> None:
    rig.pace(4)
    job = rig.submit(clip)
    app = Celery(broker=rig.redis.url)
    for _ in range(50):
        app.send_task(WORK_TASK, args=["cpu"], queue="cpu", ignore_result=True)
    rig.completed(job)
    assert attempts(rig, job) == {1}
    steps = rig.all("SELECT id::text FROM jobs_step WHERE job_id = %s", job)
    started = [line for node in rig.nodes for line in rig.log(node).splitlines() if '"step_begins"' in line]
    for (step,) in steps:
        assert sum(step in line for line in started) == 1


def test_09_and_14_a_backlog_survives_lost_tickets_and_dead_dispatchers(rig: Rig, blink: Path) -> None:
    video = rig.inspected(blink)
    for node in rig.nodes:
        rig.freeze(node)
    jobs = [rig.transcode(video) for _ in range(BACKLOG)]
    flush(rig)
    for node in rig.nodes:
        rig.thaw(node)
    for left, dispatcher in ((18, rig.dispatcher), (12, rig.second_dispatcher), (6, rig.dispatcher)):
        rig.until(lambda left=left: open_jobs(rig, jobs) <= left, 600)  # type: ignore[misc] # mypy and lambda defaults
        flush(rig)
        rig.kill(dispatcher)
        dispatcher.start()  # the other one, or the next one, goes on meanwhile
    rig.completed(*jobs)
    assert attempts(rig, *jobs) == {1}


def open_jobs(rig: Rig, jobs: list[str]) -> int:
    (count,) = rig.one("SELECT count(*) FROM jobs_job WHERE finished_at IS NULL AND id = ANY(%s)", jobs)
    return int(count)


def test_10_redis_dies_and_comes_back_in_the_middle_of_an_encode(rig: Rig, clip: Path, blink: Path) -> None:
    rig.pace_second_segment(seconds=10)
    job = rig.submit(clip)
    rig.chunk_in_the_middle(job)
    assert shown(rig, job) == {"processing"}
    rig.kill(rig.redis)
    assert shown(rig, job) == {"processing"}
    time.sleep(1)
    restart_redis(rig)
    rig.completed(job)
    assert shown(rig, job) == {"completed"}
    assert attempts(rig, job) == {1}, "what ran went on"
    rig.completed(rig.submit(blink))


def test_11_redis_hangs_and_jobs_are_accepted_all_the_same(rig: Rig, blink: Path) -> None:
    video = rig.inspected(blink)
    _, usual = accepted(rig, video)
    os.kill(rig.pid(rig.redis), signal.SIGSTOP)
    jobs = [accepted_at_once(rig, video, usual) for _ in range(3)]
    assert shown(rig, *jobs) <= {"queued", "processing", "completed"}
    time.sleep(6)
    os.kill(rig.pid(rig.redis), signal.SIGCONT)
    rig.completed(*jobs)
    assert shown(rig, *jobs) == {"completed"}


def test_12_redis_is_unavailable_and_jobs_are_accepted_all_the_same(rig: Rig, blink: Path) -> None:
    video = rig.inspected(blink)
    _, usual = accepted(rig, video)
    rig.kill(rig.redis)
    jobs = [accepted_at_once(rig, video, usual)]
    uploaded = rig.upload(blink)
    time.sleep(8)
    jobs.append(accepted_at_once(rig, uploaded, usual))
    restart_redis(rig)
    rig.completed(*jobs)
    assert shown(rig, *jobs) == {"completed"}


def test_a_reset_connection_to_redis_loses_and_doubles_nothing(rig: Rig, clip: Path, blink: Path) -> None:
    rig.pace_second_segment(seconds=10)
    job = rig.submit(clip)
    rig.chunk_in_the_middle(job)
    rig.broker.reset()
    rig.completed(job, rig.submit(blink))
    assert attempts(rig, job) == {1}


def test_a_worker_takes_tickets_after_any_number_of_resets(rig: Rig) -> None:
    """Resets come while tickets are taken: whatever was on its way then must not count as taken for good."""
    rounds = 12
    app = Celery(broker=rig.redis.url)
    pids = [rig.pid(node) for node in rig.nodes]  # nodes that were killed have rows, too
    rows = rig.all("SELECT name FROM jobs_node WHERE pid = ANY(%s) ORDER BY last_seen DESC LIMIT %s", pids, len(pids))
    queues = {node_queue(name) for (name,) in rows}
    with Redis.from_url(rig.redis.url) as server:
        for number in range(rounds):
            for queue in [*queues, *["cpu"] * 10]:
                app.send_task(WORK_TASK, args=["cpu"], queue=queue, ignore_result=True)
            time.sleep(number / rounds * 0.2)
            rig.broker.reset()
            rig.until(lambda: not any(server.llen(queue) for queue in queues), 30 + SLACK_SECONDS)
        assert not server.exists("unacked", "unacked_index"), "an acknowledgement can be lost"
