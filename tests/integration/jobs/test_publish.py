from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext

from configuration import RetryConfig
from jobs.leasing.leases import LeaseLost
from jobs.leasing.steps import step_publish
from jobs.lifecycle.failures import leases_reclaim
from jobs.models import Step
from tests.rows import a_bare_job, a_generation, a_policy, a_run, a_step, a_video, claimed, expire
from transcoding.containers.segments import Keyframe
from videos.models import Rendition, SegmentRun
from videos.runs import InitMismatch, run_publish
from videos.selectors import published_prefix, run_keyframes, segment_find


def _a_long_step() -> Step:
    return a_step(a_bare_job(a_video()), units_total=100)


@pytest.mark.django_db
def test_publishing_counts_units_and_clears_attempts_without_progress() -> None:
    step = _a_long_step()
    claim = claimed()
    step_publish(claim=claim, runs=[a_run(Rendition.objects.get(), 0, 3)], units_done=3)
    step.refresh_from_db()
    assert (step.units_done, step.attempts_without_progress) == (3, 0)


@pytest.mark.django_db
def test_publishing_the_same_again_changes_nothing() -> None:
    """The commit arrived and its answer did not: the worker cannot know and publishes once more."""
    _a_long_step()
    claim = claimed()
    runs = [a_run(Rendition.objects.get(), 0, 3)]
    step_publish(claim=claim, runs=runs, units_done=3)
    step_publish(claim=claim, runs=runs, units_done=3)
    assert SegmentRun.objects.count() == 1


@pytest.mark.django_db
def test_what_an_unknown_commit_did_publish_is_reported_even_after_the_lease_was_lost() -> None:
    """The worker deletes what is reported as unpublished: here it must not."""
    step = _a_long_step()
    claim = claimed()
    rendition = Rendition.objects.get()
    step_publish(claim=claim, runs=[a_run(rendition, 0, 3)], units_done=3)
    expire(step.id)
    leases_reclaim(policy=a_policy(retry=RetryConfig()))
    step_publish(claim=claim, runs=[a_run(rendition, 0, 3)], units_done=3)
    with pytest.raises(LeaseLost):
        step_publish(claim=claim, runs=[a_run(rendition, 3)], units_done=4)


@pytest.mark.django_db
def test_units_never_go_back() -> None:
    _a_long_step()
    claim = claimed()
    step_publish(claim=claim, runs=[a_run(Rendition.objects.get(), 0, 3)], units_done=3)
    with pytest.raises(LeaseLost):
        step_publish(claim=claim, runs=[a_run(Rendition.objects.get(), 3)], units_done=2)


@pytest.mark.django_db
def test_more_units_than_planned_are_refused() -> None:
    a_step(a_bare_job(a_video()), units_total=2)
    claim = claimed()
    with pytest.raises(IntegrityError), transaction.atomic():
        step_publish(claim=claim, runs=[a_run(Rendition.objects.get(), 0, 3)], units_done=3)
    assert not SegmentRun.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize(("first", "segments"), [(0, 1), (2, 1), (4, 3), (1, 2), (0, 10)])
def test_no_segment_is_published_twice(first: int, segments: int) -> None:
    rendition = Rendition.objects.get(generation=a_generation(a_video()))
    step = _a_long_step()
    run_publish(step_id=step.id, attempt=1, runs=[a_run(rendition, 0, 5)])
    with pytest.raises(IntegrityError), transaction.atomic():
        run_publish(step_id=step.id, attempt=2, runs=[a_run(rendition, first, segments, prefix="other/")])
    run_publish(step_id=step.id, attempt=2, runs=[a_run(rendition, 5, 5)])


@pytest.mark.django_db
def test_the_first_run_pins_the_init_segment() -> None:
    rendition = Rendition.objects.get(generation=a_generation(a_video()))
    step = _a_long_step()
    run_publish(step_id=step.id, attempt=1, runs=[a_run(rendition, 4, prefix="b/", init="x")])
    run_publish(step_id=step.id, attempt=1, runs=[a_run(rendition, 0, prefix="a/", init="x")])
    with pytest.raises(InitMismatch):
        run_publish(step_id=step.id, attempt=1, runs=[a_run(rendition, 1, prefix="c/", init="y")])
    rendition.refresh_from_db()
    assert (rendition.init_key, rendition.init_sha256) == ("b/init.mp4", "x")


KEYFRAMES = (
    (Keyframe(offset=0, size=10, ticks=0), Keyframe(offset=500, size=12, ticks=50_000)),
    (Keyframe(offset=0, size=11, ticks=0),),
)


@pytest.mark.django_db
def test_the_key_frames_of_a_run_are_stored_segment_by_segment() -> None:
    _a_long_step()
    run = replace(a_run(Rendition.objects.get(), 0, 2), keyframes=KEYFRAMES)
    step_publish(claim=claimed(), runs=[run], units_done=2)
    assert tuple(run_keyframes(SegmentRun.objects.get())) == KEYFRAMES


@pytest.mark.django_db
@pytest.mark.parametrize(
    "wrong",
    [
        {"keyframe_offsets": None},
        {"keyframe_sizes": None},
        {"keyframe_ticks": None},
        {"keyframe_offsets": [0, 500]},
        {"keyframe_offsets": [0, 500, 600]},
        {"keyframe_offsets": [500, 0, 0]},
        {"keyframe_offsets": []},
        {"keyframe_sizes": [10, 12]},
        {"keyframe_ticks": [0, 50_000, 0, 0]},
    ],
)
def test_key_frames_that_belong_to_no_segment_are_refused(wrong: dict[str, list[int] | None]) -> None:
    _a_long_step()
    run = replace(a_run(Rendition.objects.get(), 0, 2), keyframes=KEYFRAMES)
    step_publish(claim=claimed(), runs=[run], units_done=2)
    with pytest.raises(IntegrityError, match="videos_run_keyframes"):
        SegmentRun.objects.update(**wrong)


@pytest.mark.parametrize("wrong", [KEYFRAMES[:1], (*KEYFRAMES[:1], ()), (KEYFRAMES[0], KEYFRAMES[0][1:])])
def test_a_run_says_the_key_frames_of_each_segment_or_none(wrong: tuple[tuple[Keyframe, ...], ...]) -> None:
    with pytest.raises(ValueError, match=r"key frame|values to unpack"):
        replace(a_run(Rendition(), 0, 2), keyframes=wrong)


@pytest.mark.django_db
def test_a_playlist_may_list_the_segments_up_to_the_first_gap() -> None:
    rendition = Rendition.objects.get(generation=a_generation(a_video()))
    step = _a_long_step()
    runs = [a_run(rendition, first, count, prefix=f"r{first}/") for first, count in ((6, 2), (0, 2), (2, 1))]
    run_publish(step_id=step.id, attempt=1, runs=runs)
    assert [(s.number, s.key) for s in published_prefix(rendition)] == [
        (0, "r0/0.m4s"),
        (1, "r0/1.m4s"),
        (2, "r2/2.m4s"),
    ]
    found = segment_find(rendition=rendition, number=7)
    assert found is not None
    assert found.key == "r6/7.m4s"
    assert segment_find(rendition=rendition, number=3) is None
    assert segment_find(rendition=rendition, number=8) is None


@pytest.mark.django_db
def test_publishing_takes_the_same_queries_however_many_renditions_there_are() -> None:
    _a_long_step()
    claim = claimed()
    rendition = Rendition.objects.get()
    step_publish(claim=claim, runs=[a_run(rendition, 0)], units_done=1)
    with CaptureQueriesContext(connection) as one:
        step_publish(claim=claim, runs=[a_run(rendition, 1)], units_done=2)
    with CaptureQueriesContext(connection) as many:
        step_publish(claim=claim, runs=[a_run(rendition, number) for number in range(2, 12)], units_done=12)
    assert len(one) == len(many)


@pytest.mark.django_db(transaction=True)
def test_of_two_that_publish_the_same_segment_at_once_one_fails() -> None:
    rendition = Rendition.objects.get(generation=a_generation(a_video()))
    step = _a_long_step()

    def publish(attempt: int) -> bool:
        try:
            with transaction.atomic():
                run_publish(step_id=step.id, attempt=attempt, runs=[a_run(rendition, 0, 2, prefix=f"{attempt}/")])
        except IntegrityError:
            return False
        else:
            return True
        finally:
            connection.close()

    with ThreadPoolExecutor(6) as pool:
        outcomes = list(pool.map(publish, range(6)))
    assert outcomes.count(True) == 1
    assert SegmentRun.objects.count() == 1
