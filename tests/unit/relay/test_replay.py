"""Bytes of a source that are replay until viewers get something."""

import threading
from itertools import islice

from relay.runs.replay import ReplayBuffer


def filled(*blocks: bytes, replay_bytes: int = 100, ahead_bytes: int = 100) -> ReplayBuffer:
    replay = ReplayBuffer(replay_bytes=replay_bytes, ahead_bytes=ahead_bytes)
    for block in blocks:
        assert replay.write(block)
    return replay


def test_the_next_reader_begins_at_the_first_byte() -> None:
    replay = filled(b"a", b"b", b"c")
    assert list(islice(replay.read(), 2)) == [b"a", b"b"]
    replay.end()
    assert list(replay.read()) == [b"a", b"b", b"c"]
    assert replay.complete


def test_what_is_forgotten_is_gone_once_it_was_read() -> None:
    replay = filled(b"a", b"b", b"c")
    reading = replay.read()
    assert next(reading) == b"a"
    replay.forget()
    assert not replay.complete
    replay.end()
    assert list(reading) == [b"b", b"c"]


def test_no_more_is_kept_than_the_limit() -> None:
    replay = filled(b"aaaa", b"bbbb", replay_bytes=6)
    reading = replay.read()
    assert list(islice(reading, 2)) == [b"aaaa", b"bbbb"]
    assert not replay.complete


def test_the_source_waits_for_the_reader() -> None:
    replay = filled(b"aaaa", ahead_bytes=4)
    answers: list[bool] = []
    thread = threading.Thread(target=lambda: answers.append(replay.write(b"bbbb")))
    thread.start()
    assert not answers
    assert next(replay.read()) == b"aaaa"
    thread.join(60)
    assert answers == [True]


def test_closing_ends_the_writer_and_the_reader() -> None:
    replay = filled(b"aaaa", ahead_bytes=4)
    answers: list[bool] = []
    thread = threading.Thread(target=lambda: answers.append(replay.write(b"bbbb")))
    thread.start()
    replay.close()
    thread.join(60)
    assert answers == [False]
    assert list(replay.read()) == []


def test_a_reader_that_is_interrupted_ends_and_another_one_begins() -> None:
    replay = filled(b"a")
    reading = replay.read()
    replay.interrupt()
    assert list(reading) == []
    replay.end()
    assert list(replay.read()) == [b"a"]
