from collections.abc import Sequence
from pathlib import Path
from uuid import uuid4

import pytest

from jobs.leasing.claim import Claim
from jobs.leasing.leases import LeaseLost
from jobs.rules.steps import StepKind
from storage.errors import StorageUnavailable
from storage.local import LocalStore
from transcoding.containers.segments import Segment
from videos.runs import RunFacts
from workers.steps.publisher import Destination, Publisher

PREFIXES = {"720p": "videos/v/g1/720p/s-a1/", "360p": "videos/v/g1/360p/s-a1/"}


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    store = LocalStore(tmp_path / "store", part_bytes=5 << 20)
    store.prepare()
    return store


def a_segment(number: int) -> Segment:
    return Segment(number=number, duration=120_000, frames=120, data=b"segment %d" % number)


class Published:
    """The runs that a publisher wrote, in order."""

    def __init__(self, fails_with: Exception | None = None) -> None:
        self.runs: list[tuple[int, int]] = []
        self.fails_with = fails_with

    def __call__(self, runs: Sequence[RunFacts], count: int) -> None:
        if self.fails_with:
            raise self.fails_with
        assert {run.first_segment for run in runs} == {runs[0].first_segment}
        self.runs.append((runs[0].first_segment, count))


def a_publisher(
    store: LocalStore, published: Published, *, every_seconds: float = 0.0, first_segment: int = 0
) -> Publisher:
    return Publisher(
        store=store,
        destinations={name: Destination(rendition_id=uuid4(), prefix=prefix) for name, prefix in PREFIXES.items()},
        first_segment=first_segment,
        publish=published,
        every_seconds=every_seconds,
        moved=lambda _: None,
        parallel=2,
    )


def stored(store: LocalStore) -> list[str]:
    return [entry.key.removeprefix("videos/v/g1/") for entry in store.list("videos/")]


def a_lost_lease() -> LeaseLost:
    return LeaseLost(
        Claim(
            step_id=uuid4(),
            attempt=1,
            kind=StepKind.CHUNK,
            ordinal=0,
            video_id=uuid4(),
            job_id=None,
            generation_id=None,
            units_done=0,
            units_total=1,
            payload={},
        )
    )


def test_a_segment_is_published_only_when_all_renditions_have_it(store: LocalStore) -> None:
    published = Published()
    with a_publisher(store, published) as publisher:
        publisher.submit("720p", a_segment(0), b"init")
        publisher.flush()
        assert published.runs == []
        publisher.submit("360p", a_segment(0), b"init")
        publisher.flush()
        assert published.runs == [(0, 1)]


def test_runs_follow_each_other_from_the_first_unpublished_segment(store: LocalStore) -> None:
    published = Published()
    with a_publisher(store, published, first_segment=5) as publisher:
        for number in (5, 6, 7):
            for name in PREFIXES:
                publisher.submit(name, a_segment(number), b"init")
            if number == 6:
                publisher.flush()
        publisher.flush()
    assert published.runs == [(5, 2), (7, 1)]


def test_nothing_is_published_before_its_time(store: LocalStore) -> None:
    published = Published()
    with a_publisher(store, published, every_seconds=3600, first_segment=5) as publisher:
        for name in PREFIXES:
            publisher.submit(name, a_segment(5), b"init")
        publisher.flush()
        for name in PREFIXES:
            publisher.submit(name, a_segment(6), b"init")
        publisher.poll()
        assert published.runs == [(5, 1)]


def test_what_was_not_published_is_deleted(store: LocalStore) -> None:
    published = Published()
    with a_publisher(store, published) as publisher:
        for name in PREFIXES:
            publisher.submit(name, a_segment(0), b"init")
        publisher.flush()
        publisher.submit("720p", a_segment(1), b"init")
    assert stored(store) == ["360p/s-a1/0.m4s", "360p/s-a1/init.mp4", "720p/s-a1/0.m4s", "720p/s-a1/init.mp4"]


def test_an_attempt_that_lost_its_lease_leaves_nothing(store: LocalStore) -> None:
    with pytest.raises(LeaseLost), a_publisher(store, Published(fails_with=a_lost_lease())) as publisher:
        for name in PREFIXES:
            publisher.submit(name, a_segment(0), b"init")
        publisher.flush()
    assert stored(store) == []


def test_what_may_have_been_published_is_never_deleted(store: LocalStore) -> None:
    with pytest.raises(ConnectionError), a_publisher(store, Published(fails_with=ConnectionError())) as publisher:
        for name in PREFIXES:
            publisher.submit(name, a_segment(0), b"init")
        publisher.flush()
    assert len(stored(store)) == 4


def test_a_failed_upload_ends_the_attempt_and_publishes_nothing_of_it(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    published = Published()

    def refuse(key: str, data: bytes, content_type: str) -> None:
        raise StorageUnavailable(key)

    with pytest.raises(StorageUnavailable), a_publisher(store, published) as publisher:
        publisher.submit("720p", a_segment(0), b"init")
        monkeypatch.setattr(store, "put", refuse)
        publisher.submit("360p", a_segment(0), b"init")
        publisher.flush()
    assert published.runs == []


def test_what_an_earlier_run_published_survives_the_loss_of_the_lease(store: LocalStore) -> None:
    published = Published()
    with pytest.raises(LeaseLost), a_publisher(store, published) as publisher:
        for number in (0, 1):
            for name in PREFIXES:
                publisher.submit(name, a_segment(number), b"init")
            publisher.flush()
            published.fails_with = a_lost_lease()
    assert stored(store) == ["360p/s-a1/0.m4s", "360p/s-a1/init.mp4", "720p/s-a1/0.m4s", "720p/s-a1/init.mp4"]
