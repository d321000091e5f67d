import os

import pytest

from storage.pace import CRAWL_BYTES_PER_SECOND, CRAWL_SECONDS, GIVE_UPS, Crawling, Pace
from storage.s3_body import Body


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_a_slow_connection_is_none_that_crawls(clock: Clock) -> None:
    pace = Pace(clock)
    for _ in range(100):
        clock.now += 1
        pace.moved(CRAWL_BYTES_PER_SECOND)


def test_a_connection_that_crawls_is_given_up_although_it_was_fast(clock: Clock) -> None:
    pace = Pace(clock)
    clock.now += CRAWL_SECONDS
    pace.moved(1 << 30)
    clock.now += CRAWL_SECONDS / 2
    pace.moved(1)
    clock.now += CRAWL_SECONDS / 2
    with pytest.raises(Crawling):
        pace.moved(1)


def test_a_request_is_given_up_a_few_times_only(clock: Clock) -> None:
    pace = Pace(clock)
    given_up = 0
    for _ in range(GIVE_UPS + 5):
        pace.restart()
        clock.now += CRAWL_SECONDS
        try:
            pace.moved(1)
        except Crawling:
            given_up += 1
    assert given_up == GIVE_UPS


def test_the_time_of_the_reader_does_not_count(clock: Clock) -> None:
    pace = Pace(clock)
    for _ in range(100):
        clock.now += CRAWL_SECONDS
        pace.begin()
        pace.moved(1)


def test_a_body_is_read_in_small_blocks_and_again_from_its_beginning(clock: Clock) -> None:
    data = os.urandom(200_000)
    body = Body(bytearray(data), clock)
    assert len(body) == 200_000
    for _ in range(2):
        assert body.seek(0) == 0
        blocks = list(iter(lambda: bytes(body.read(1 << 20)), b""))
        assert b"".join(blocks) == data
        assert max(map(len, blocks)) <= 1 << 17
    assert (body.seek(0, os.SEEK_END), bytes(body.read())) == (200_000, b"")
    assert bytes(body.getbuffer()) == data


def test_a_body_that_crawls_is_given_up_and_sent_again(clock: Clock) -> None:
    body = Body(bytes(1_000_000), clock)
    with pytest.raises(Crawling):
        while body.read(1_000):
            clock.now += 1
    body.seek(0)
    clock.now += 1_000  # until there is another connection
    while body.read(100_000):
        clock.now += 0.1
    assert body.seek(0, os.SEEK_CUR) == 1_000_000
