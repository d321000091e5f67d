from __future__ import annotations

import pytest

from events.webhooks.retry import PAUSES, Delivered, GiveUp, TryAgain, judge
from outbound.answers import Answer

DAY = 24 * 3600


@pytest.mark.parametrize("status", [200, 201, 204, 299])
def test_any_success_is_delivery(status: int) -> None:
    assert judge(Answer(status=status), attempts=1, tried_seconds=0, jitter=0) == Delivered()


@pytest.mark.parametrize("status", [301, 302, 307, 400, 401, 404, 408, 429, 500, 503])
def test_everything_else_is_tried_again(status: int) -> None:
    assert judge(Answer(status=status), attempts=1, tried_seconds=0, jitter=0) == TryAgain(5)


def test_no_answer_is_tried_again() -> None:
    assert judge(Answer(error="no answer within 15 s"), attempts=2, tried_seconds=0, jitter=0) == TryAgain(30)


def test_who_is_gone_is_left_alone() -> None:
    assert judge(Answer(status=410), attempts=1, tried_seconds=0, jitter=0) == GiveUp(gone=True)


def test_after_a_day_it_is_given_up() -> None:
    pauses = []
    for attempt in range(1, 100):
        verdict = judge(Answer(status=500), attempts=attempt, tried_seconds=0, jitter=0)
        if verdict == GiveUp(gone=False):
            break
        assert isinstance(verdict, TryAgain)
        pauses.append(verdict.seconds)
    assert pauses == list(PAUSES)
    assert 0.9 * DAY < sum(pauses) <= DAY


def test_jitter_shortens_pauses_by_a_fifth_at_most() -> None:
    verdict = judge(Answer(status=500), attempts=4, tried_seconds=0, jitter=0.999)
    assert isinstance(verdict, TryAgain)
    assert 480 <= verdict.seconds < 481


def test_pauses_that_a_receiver_requests_end_with_the_day() -> None:
    tried, pauses = 0.0, 0
    while isinstance(
        verdict := judge(Answer(status=503, retry_after=999_999), attempts=pauses + 1, tried_seconds=tried, jitter=0),
        TryAgain,
    ):
        tried += verdict.seconds
        pauses += 1
    assert verdict == GiveUp(gone=False)
    assert tried == DAY
    assert pauses == 3


def test_a_receiver_may_request_more_time_but_not_for_ever() -> None:
    assert judge(Answer(status=429, retry_after=100), attempts=1, tried_seconds=0, jitter=0) == TryAgain(100)
    assert judge(Answer(status=503, retry_after=999_999), attempts=1, tried_seconds=0, jitter=0) == TryAgain(PAUSES[-1])
