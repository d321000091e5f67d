"""Priorities of steps with segments."""

from workers.steps.publishing import chunk_niceness


def test_of_two_chunks_on_the_same_cores_the_earlier_one_goes_first() -> None:
    first, second, third, fourth, last = map(chunk_niceness, (0, 1, 2, 3, 1000))
    assert first == 0
    assert first + 5 <= second, "three times the share of the processor for each five"
    assert second + 5 <= third < fourth == last <= 19
