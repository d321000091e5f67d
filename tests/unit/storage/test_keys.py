from uuid import UUID

import pytest

from storage import keys
from storage.errors import InvalidKey

VIDEO = UUID("00000000-0000-4000-8000-000000000001")
STEP = UUID("00000000-0000-4000-8000-000000000002")


def test_all_keys_of_a_video_begin_with_its_prefix() -> None:
    run = keys.run_prefix(VIDEO, 3, "720p", STEP, 2)
    assert run == f"videos/{VIDEO}/g3/720p/{STEP}-a2/"
    assert keys.segment_key(run, 17) == f"{run}17.m4s"
    assert keys.init_key(run) == f"{run}init.mp4"
    prefixes = [keys.source_key(VIDEO), keys.indexed_key(VIDEO), keys.generation_prefix(VIDEO, 3), run]
    assert all(key.startswith(keys.video_prefix(VIDEO)) for key in prefixes)


def test_no_generation_prefix_matches_another_generation() -> None:
    assert not keys.generation_prefix(VIDEO, 10).startswith(keys.generation_prefix(VIDEO, 1))


def test_all_our_keys_are_valid() -> None:
    run = keys.run_prefix(VIDEO, 1, "audio", STEP, 1)
    for key in (keys.source_key(VIDEO), keys.indexed_key(VIDEO), keys.segment_key(run, 0), keys.init_key(run)):
        assert keys.check_key(key) == key


@pytest.mark.parametrize("key", ["a", "a/b.m4s", "..a/b..", "a b", "ä/日本", "a" * 255])
def test_ordinary_names_are_valid(key: str) -> None:
    assert keys.check_key(key) == key


@pytest.mark.parametrize(
    "key", ["", "/", "a/", "/a", "a//b", ".", "a/..", "../a", "a\\b", "a\0", "a\x7f", "\ud800", "ä" * 128, "ab/" * 400]
)
def test_path_traversal_and_unstorable_keys_are_refused(key: str) -> None:
    with pytest.raises(InvalidKey):
        keys.check_key(key)


@pytest.mark.parametrize("prefix", ["a/", "a", "a/b"])
def test_a_prefix_may_end_anywhere(prefix: str) -> None:
    assert keys.check_prefix(prefix) == prefix


@pytest.mark.parametrize("prefix", ["", "/", "//", "../", "a//"])
def test_prefixes_that_match_everything_are_refused(prefix: str) -> None:
    with pytest.raises(InvalidKey):
        keys.check_prefix(prefix)
