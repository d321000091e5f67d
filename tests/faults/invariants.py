"""Invariants that hold whatever happened, checked after every test: I1 to I8 of the fault table."""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from itertools import pairwise
from typing import Any

from storage.keys import segment_key
from storage.protocol import ObjectStore
from tests.faults.rig import OVER, SLACK_SECONDS, Rig

ORPHAN_SECONDS = 10 + SLACK_SECONDS
_EVENT_ORDER = {"job.queued": 0, "job.planned": 1, "job.started": 2, "job.playable": 3}
_LAST = 9


def check(rig: Rig, jobs: list[str]) -> None:
    """Check the invariants for these jobs, which must have ended, and for everything that the stack left behind."""
    one_terminal_state_each(rig, jobs)
    events_are_a_history(rig, jobs)
    no_ffmpeg_without_a_lease(rig)
    every_segment_once(rig, jobs)
    published_objects_are_there(rig, jobs)
    seconds_are_counted_once(rig, jobs)
    nothing_is_left(rig)
    no_secret_in_logs(rig)


def one_terminal_state_each(rig: Rig, jobs: list[str]) -> None:
    """Check I1: each job ended in one terminal state, with one event that says so."""
    states: dict[str, str] = dict(rig.all("SELECT id::text, state FROM jobs_job WHERE id = ANY(%s)", jobs))
    assert set(states) == set(jobs), "an accepted job is gone"
    assert not {job: state for job, state in states.items() if state not in OVER}
    ends = Counter(
        job
        for (job,) in rig.all(
            "SELECT job_id::text FROM events_event WHERE job_id = ANY(%s) AND type = ANY(%s)",
            jobs,
            [f"job.{state}" for state in OVER],
        )
    )
    assert ends == Counter(jobs), "a job ended twice, or without saying so"
    open_steps = rig.all(
        "SELECT id::text, state FROM jobs_step WHERE job_id = ANY(%s) AND state NOT IN ('done', 'failed', 'cancelled')",
        jobs,
    )
    assert not open_steps, "a job is over and some of its steps are not"


def every_segment_once(rig: Rig, jobs: list[str]) -> None:
    """Check I2: each segment of a completed job was published once."""
    numbers: dict[str, list[int]] = defaultdict(list)
    makers: dict[tuple[str, int], set[str]] = defaultdict(set)
    totals: dict[str, tuple[str, int]] = {}
    for rendition, total, state, owner, job, first, count in rig.all(
        "SELECT r.id::text, r.total_segments, j.state, g.job_id, j.id, s.first_segment, s.segment_count"
        " FROM jobs_job j JOIN videos_generation g ON g.id = j.generation_id"
        " JOIN videos_rendition r ON r.generation_id = g.id LEFT JOIN videos_segmentrun s ON s.rendition_id = r.id"
        " WHERE j.id = ANY(%s) ORDER BY r.id, s.first_segment",
        jobs,
    ):
        assert owner == job, "a rendition belongs to a generation of another job"
        totals[rendition] = (state, total)
        numbers[rendition] += range(first, first + count) if count else []
        makers[(rendition, first)].add(str(job))
    assert all(len(by) == 1 for by in makers.values())
    for rendition, (state, total) in totals.items():
        assert len(set(numbers[rendition])) == len(numbers[rendition]), "a segment was published twice"
        if state == "completed":
            assert numbers[rendition] == list(range(total)), "a segment of a completed job is missing"


def published_objects_are_there(rig: Rig, jobs: list[str]) -> None:
    """Check I3: all published objects are in the store, with the recorded content."""
    store = rig.store()
    for prefix, first, digests, init_key, init_sha256 in rig.all(
        "SELECT s.key_prefix, s.first_segment, s.digests, r.init_key, r.init_sha256"
        " FROM jobs_job j JOIN videos_rendition r ON r.generation_id = j.generation_id"
        " JOIN videos_segmentrun s ON s.rendition_id = r.id WHERE j.id = ANY(%s) AND j.state = 'completed'",
        jobs,
    ):
        assert _digest(store, init_key) == init_sha256
        for number, digest in enumerate(digests, first):
            assert _digest(store, segment_key(prefix, number)) == digest


def _digest(store: ObjectStore, key: str) -> str:
    return hashlib.sha256(store.get(key)).hexdigest()


def no_ffmpeg_without_a_lease(rig: Rig) -> None:
    """Check I4: no ffmpeg runs without a lease. All jobs have ended, so there are no leases."""
    rig.until(lambda: not rig.ffmpegs(), ORPHAN_SECONDS, lambda: f"ffmpeg lives on: {rig.ffmpegs()}")


def nothing_is_left(rig: Rig) -> None:
    """Check I5, except for what the janitor deletes: no temporary files, no running steps."""
    rig.until(lambda: not _running_steps(rig), ORPHAN_SECONDS, lambda: f"steps run on: {_running_steps(rig)}")
    scratch = rig.scratch("one").parent
    assert not [str(path) for path in scratch.glob("*/steps/*/*/*")], "scratch is not empty"
    assert not [str(path) for path in scratch.glob("*/sources/*.partial")]
    assert not list(rig.store().list_multiparts("videos/")), "a multipart upload is left open"


def _running_steps(rig: Rig) -> list[tuple[Any, ...]]:
    return rig.all("SELECT kind, node, worker_pid FROM jobs_step WHERE state = 'running'")


def seconds_are_counted_once(rig: Rig, jobs: list[str]) -> None:
    """Check I6: the renditions of a completed job are as long as its source, for video to the tick."""
    for kind, frames, expected in rig.all(
        "SELECT r.kind, sum(n.frames), (g.plan #>> '{source,total_frames}')::int"
        " FROM jobs_job j JOIN videos_generation g ON g.id = j.generation_id"
        " JOIN videos_rendition r ON r.generation_id = g.id JOIN videos_segmentrun s ON s.rendition_id = r.id"
        " CROSS JOIN LATERAL unnest(s.frames) AS n(frames)"
        " WHERE j.id = ANY(%s) AND j.state = 'completed' GROUP BY r.id, g.id",
        jobs,
    ):
        assert kind == "audio" or frames == expected


def events_are_a_history(rig: Rig, jobs: list[str]) -> None:
    """Check I7: events are numbered from 1 without gaps, in a possible order, with times that never decrease."""
    histories: dict[str, list[tuple[Any, ...]]] = defaultdict(list)
    for job, *event in rig.all(
        "SELECT job_id::text, seq, type, created_at, data->>'generation', (data->>'progress')::int FROM events_event"
        " WHERE job_id = ANY(%s) ORDER BY job_id, seq",
        jobs,
    ):
        histories[job].append(tuple(event))
    states: dict[str, str] = dict(rig.all("SELECT id::text, state FROM jobs_job WHERE id = ANY(%s)", jobs))
    counted: dict[str, int] = dict(rig.all("SELECT id::text, last_event FROM jobs_job WHERE id = ANY(%s)", jobs))
    for job in jobs:
        history = histories[job]
        assert [seq for seq, *_ in history] == list(range(1, counted[job] + 1))
        reported = [progress for *_, progress in history if progress is not None]
        assert reported == sorted(set(reported)), f"progress goes back or repeats itself: {reported}"
        types = _without_detours([kind for _, kind, *_ in history if kind != "job.progress"])
        playable = [generation for _, kind, _, generation, _ in history if kind == "job.playable"]
        assert len(playable) == len(set(playable)), f"a generation is playable twice: {playable}"
        assert types[0] == "job.queued"
        assert types[-1] == f"job.{states[job]}", "the last event is not how the job ended"
        assert all(count == 1 for count in Counter(types).values()), f"something happened twice: {types}"
        order = [_EVENT_ORDER.get(kind, _LAST) for kind in types]
        assert order == sorted(order), f"out of order: {types}"
        assert all(earlier <= later for (_, _, earlier, *_), (_, _, later, *_) in pairwise(history))


def _without_detours(types: list[str]) -> list[str]:
    """Remove from a history the events that may occur more than once.

    One that needs a GPU may wait for it, and be planned again for the CPU, also after its start was playable; one that
    rested starts again.
    """
    again = {"job.planned": "job.fell_back", "job.playable": "job.fell_back", "job.started": "job.resumed"}
    detours = {"job.waiting", "job.fell_back", "job.paused", "job.resumed"}
    return [
        kind
        for position, kind in enumerate(types)
        if kind not in detours and not (again.get(kind) in types and kind in types[:position])
    ]


def no_secret_in_logs(rig: Rig) -> None:
    """Check I8: the logs contain no secret."""
    secrets = list(json.loads((rig.home.folder / "state.json").read_text())["secrets"].values())
    for log in (rig.home.folder / "logs").iterdir():
        text = log.read_text(encoding="utf-8", errors="replace")
        assert not [secret for secret in secrets if secret in text], f"{log.name} shows a secret"
