"""Files that workers fetch: resumed, compared, refused, and what interruptions leave."""

from __future__ import annotations

import hashlib
import json
import logging
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import connections
from django.db.models.functions import Now

from access.limits import limits_set
from access.services import default_owner
from configuration import Bucket
from events.models import Event
from execution.ffmpeg import Stopped
from jobs.leasing.leases import LeaseLost
from jobs.leasing.steps import step_begin
from jobs.lifecycle.failures import leases_reclaim
from jobs.lifecycle.importing import video_import_request, video_imported
from jobs.lifecycle.services import video_delete
from jobs.models import Job, Step
from jobs.rules.steps import StepKind
from outbound.addresses import Reach, networks_read
from outbound.fetching import Downloader
from storage.buckets import Buckets
from storage.keys import source_key, video_prefix
from tests.file_server import FileServer, a_file_server
from tests.integration.workers.claims import claim_of_kind
from tests.rows import expire
from videos.imports import ImportedSource
from videos.models import Import, Video
from workers.lease.control import StepControl, StopReason
from workers.runner import StepRunner
from workers.steps import fetch
from workers.tools import Tools

HEAD = b"\x00\x00\x00\x18ftypisom\x00\x00\x02\x00isomiso2" + b"\x00\x00\x00\x08free" * 40_000
PART = 5 << 20
LARGE = HEAD + bytes(bytearray(range(251)) * (PART // 251))
"""A part and a bit; what it is, only its beginning says."""
A_SOURCE = ImportedSource(size_bytes=1, etag="e", sha256="s", container="mov")


@pytest.fixture
def files() -> Iterator[FileServer]:
    with a_file_server(LARGE) as files:
        yield files


@pytest.fixture
def tools(tools: Tools, monkeypatch: pytest.MonkeyPatch) -> Tools:
    """Tools that may fetch from this machine, in the smallest parts, without pauses."""
    monkeypatch.setattr(fetch, "_PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(fetch, "_REPORT_SECONDS", 0.0)
    tools.store.part_bytes = PART  # type: ignore[misc]
    loopback = Reach(networks_read(["127.0.0.0/8"]))
    policy = replace(tools.policy, max_source_bytes=1 << 30)  # of larger files, parts would be larger
    return replace(tools, policy=policy, downloader=Downloader(loopback, user_agent="vodmill/test"))


def requested(tools: Tools, url: str, *, sha256: str = "") -> Video:
    labels = {"filename": "a.mp4", "sha256": sha256}
    return video_import_request(owner=default_owner(), url=url, labels=labels, job=None, policy=tools.policy)


def fetch_once(tools: Tools, control: StepControl | None = None) -> None:
    work = step_begin(claim=claim_of_kind(tools, StepKind.FETCH))
    fetch.run(work, tools, control or StepControl(tools.draining))


def stored(tools: Tools, video: Video) -> list[str]:
    return [each.key for each in tools.store.list(video_prefix(video.id))]


def multiparts(tools: Tools, video: Video) -> list[str]:
    return [each.key for each in tools.store.list_multiparts(video_prefix(video.id))]


def test_an_imported_video_is_inspected_and_transcoded(
    tools: Tools, runner: StepRunner, files: FileServer, clip: Path
) -> None:
    files.content = clip.read_bytes()
    sha256 = hashlib.sha256(files.content).hexdigest()
    labels = {"filename": "clip.mp4", "sha256": sha256, "external_id": "e"}
    job = {"request": {"bitrate": 800_000}, "priority": 50}
    url = files.url("/file?token=s3cret")
    video = video_import_request(owner=default_owner(), url=url, labels=labels, job=job, policy=tools.policy)
    StepRunner(tools).work("cpu")
    video = Video.objects.select_related("imported_from").get(id=video.id)
    assert (video.state, video.sha256, video.size_bytes, video.error_detail) == (
        "ready",
        sha256,
        len(files.content),
        "",
    )
    assert Job.objects.get().state == "completed"
    row = video.imported_from
    assert (row.url, row.shown_url, row.received_bytes) == ("", files.url(), video.size_bytes)
    types = Event.objects.filter(video_id=video.id, job_id=None).order_by("id").values_list("type", flat=True)
    assert list(types)[:2] == ["video.imported", "video.ready"]


def test_a_file_whose_connection_is_cut_is_fetched_on_from_there(tools: Tools, files: FileServer) -> None:
    files.cuts = [PART + 17, 3, 0, 5]
    video = requested(tools, files.url())
    fetch_once(tools)
    video.refresh_from_db()
    assert (video.state, video.sha256) == ("uploaded", hashlib.sha256(LARGE).hexdigest())
    assert b"".join(tools.store.open(video.source_key)) == LARGE
    after = [f"bytes={PART + number}-" for number in (17, 20, 20, 25)]
    assert files.ranges_requested() == ["", *after]


@pytest.mark.parametrize("kind", ["no ranges", "no validator", "no length"])
def test_servers_that_send_no_parts_of_files_send_them_again(tools: Tools, files: FileServer, kind: str) -> None:
    files.ranges, files.etag = kind != "no ranges", "" if kind == "no validator" else '"1"'
    files.announced = kind != "no length"
    files.cuts = [] if kind == "no length" else [PART + 17]
    video = requested(tools, files.url())
    fetch_once(tools)
    video.refresh_from_db()
    assert (video.state, video.sha256) == ("uploaded", hashlib.sha256(LARGE).hexdigest())
    assert b"".join(tools.store.open(video.source_key)) == LARGE
    assert multiparts(tools, video) == []


def test_another_worker_goes_on_where_the_parts_are(tools: Tools, files: FileServer) -> None:
    files.pauses_after = PART + 1000
    video = requested(tools, files.url())
    claim = claim_of_kind(tools, StepKind.FETCH)
    work, control = step_begin(claim=claim), StepControl(tools.draining)
    _stopped(lambda: fetch.run(work, tools, control), files, control, StopReason.UNCONFIRMED)
    assert Import.objects.get(video=video).received_bytes >= PART
    assert stored(tools, video) == []
    expire(claim.step_id)
    assert leases_reclaim(policy=tools.policy) == 1
    assert Step.objects.get(id=claim.step_id).attempts_without_progress == 0
    files.over.set()
    fetch_once(tools)
    video.refresh_from_db()
    assert (video.state, video.sha256) == ("uploaded", hashlib.sha256(LARGE).hexdigest())
    assert files.ranges_requested() == ["", f"bytes={PART}-"]
    with pytest.raises(LeaseLost):  # the first one was not dead
        video_imported(claim=claim, source=A_SOURCE, result={})
    assert tools.store.head(video.source_key).etag == video.etag


def _stopped(run: Callable[[], None], files: FileServer, control: StepControl, reason: StopReason) -> None:
    """Run a step beside this thread, and stop it once the server has paused."""
    caught: list[BaseException] = []

    def beside() -> None:
        try:
            run()
        except BaseException as error:  # noqa: BLE001 - looked at below
            caught.append(error)
        finally:
            connections.close_all()

    thread = threading.Thread(target=beside)
    thread.start()
    assert files.paused.wait(120)
    _wait_for(lambda: Import.objects.filter(received_bytes__gte=PART).exists())
    control.stop(reason)
    thread.join(120)
    assert isinstance(caught[0], Stopped), caught


def _wait_for(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.02)


def test_a_video_that_is_deleted_meanwhile_is_fetched_no_further_and_leaves_nothing(
    tools: Tools, files: FileServer
) -> None:
    files.pauses_after = PART + 1000
    video = requested(tools, files.url("/file?token=s3cret"))
    claim = claim_of_kind(tools, StepKind.FETCH)
    work, control = step_begin(claim=claim), StepControl(tools.draining)
    _stopped(lambda: fetch.run(work, tools, control), files, control, StopReason.LEASE_LOST)
    video_delete(owner=video.owner, video_id=video.id)
    assert Import.objects.get(video=video).url == ""
    files.over.set()
    with pytest.raises(LeaseLost):
        video_imported(claim=claim, source=A_SOURCE, result={})
    Step.objects.filter(id=claim.step_id).update(lease_expires_at=None)
    Step.objects.filter(video=video, kind=StepKind.PURGE).update(state="ready", not_before=None)
    StepRunner(tools).work("cpu")
    video.refresh_from_db()
    assert (video.state, stored(tools, video), multiparts(tools, video)) == ("deleted", [], [])


def test_a_file_that_changes_between_two_connections_is_rejected(tools: Tools, files: FileServer) -> None:
    class Changing(list[int]):
        def pop(self, *_: object) -> int:
            files.etag = '"2"'
            self.clear()
            return PART + 17

    files.cuts = Changing([0])
    assert _rejection(tools, files.url()) == ("download_changed", "the file changed while it was fetched")


REFUSED = "the address cannot be reached"


@pytest.mark.parametrize(
    ("path", "code", "sentence"),
    [
        ("/metadata", "url_refused", REFUSED),
        ("/other-scheme/ftp", "url_refused", REFUSED),
        ("/redirects/10", "url_refused", REFUSED),
        ("/status/404", "download_refused", "the server answered 404 Not Found"),
        ("/gzip", "download_encoded", "the server sends the file compressed (gzip), which is not accepted"),
        ("/endless", "too_large", "the file has more than 9000000 bytes"),
    ],
)
def test_what_cannot_be_imported_is_rejected_with_a_reason(
    tools: Tools, files: FileServer, path: str, code: str, sentence: str
) -> None:
    policy = replace(tools.policy, max_source_bytes=9_000_000)
    found = _rejection(replace(tools, policy=policy), files.url(f"{path}?token=s3cret"))
    assert found[0] == code
    assert found[1].startswith(sentence)


@pytest.mark.parametrize(
    ("content", "code"),
    [(b"", "empty_file"), (b"%PDF-1.7" + b"x" * 600_000, "not_a_video"), (b"hello", "not_a_video")],
)
def test_files_that_are_no_videos_are_rejected(tools: Tools, files: FileServer, content: bytes, code: str) -> None:
    files.content = content
    assert _rejection(tools, files.url())[0] == code


def test_a_file_that_is_announced_as_too_large_is_not_fetched(tools: Tools, files: FileServer) -> None:
    policy = replace(tools.policy, max_source_bytes=len(LARGE) - 1)
    video = requested(tools, files.url())
    assert _rejection(replace(tools, policy=policy), video=video)[0] == "too_large"
    assert Import.objects.get(video=video).received_bytes == 0


def test_a_file_with_another_checksum_than_promised_is_rejected(tools: Tools, files: FileServer) -> None:
    video = requested(tools, files.url(), sha256="0" * 64)
    code, sentence = _rejection(tools, video=video)
    assert (code, hashlib.sha256(LARGE).hexdigest() in sentence) == ("checksum_mismatch", True)


def _rejection(tools: Tools, url: str = "", *, video: Video | None = None) -> tuple[str, str]:
    """Run the steps of an import that fails, and look at what is left of it."""
    video = video or requested(tools, url)
    StepRunner(tools).work("cpu")
    Step.objects.filter(kind=StepKind.PURGE, state="delayed").update(state="ready", not_before=None)
    StepRunner(tools).work("cpu")
    video.refresh_from_db()
    assert video.state == "rejected"
    assert (stored(tools, video), multiparts(tools, video)) == ([], [])
    assert Import.objects.get(video=video).url == ""
    event = Event.objects.get(video_id=video.id, type="video.rejected")
    assert "s3cret" not in json.dumps(event.data)
    return video.error_code, video.error_detail


def test_a_server_that_fails_is_tried_again_and_then_given_up(
    tools: Tools, files: FileServer, caplog: pytest.LogCaptureFixture
) -> None:
    files.statuses = [503] * 7
    video = requested(tools, files.url("/file?token=s3cret"))
    with caplog.at_level(logging.INFO):
        for _ in range(2):
            StepRunner(tools).carry_out(claim_of_kind(tools, StepKind.FETCH))
    video.refresh_from_db()
    assert video.state == "uploaded"
    assert Step.objects.get(video=video, kind=StepKind.FETCH).failures == 1
    assert "s3cret" not in caplog.text + json.dumps([record.__dict__ for record in caplog.records], default=str)
    files.statuses = [500] * 100
    assert _rejection(tools, files.url()) == ("download_failed", "the server answered 500 Internal Server Error")
    assert len(files.statuses) == 100 - 5 * tools.policy.retry.max_failures


def test_an_object_in_a_bucket_is_imported_and_one_that_is_not_there_is_not(tools: Tools) -> None:
    config = tools.config.storage
    films = Bucket(
        alias="films",
        bucket="customer",
        prefix="in/",
        imports=True,
        endpoint_url=config.s3_endpoint_url,
        access_key=config.s3_access_key,
        secret_key=config.s3_secret_key,
    )
    elsewhere = replace(films, alias="elsewhere", endpoint_url=config.s3_endpoint_url.replace("127.0.0.1", "localhost"))
    buckets = Buckets({"films": films, "elsewhere": elsewhere}, config)
    tools, theirs = replace(tools, buckets=buckets), buckets.store(films)
    theirs.prepare()
    theirs.put("in/2026/a.mp4", LARGE, "video/mp4")
    assert tools.store.copies_from(theirs)
    for alias in ("films", "elsewhere"):
        video = requested(tools, f"s3://{alias}/2026/a.mp4", sha256=hashlib.sha256(LARGE).hexdigest())
        fetch_once(tools)
        video.refresh_from_db()
        assert (video.state, video.size_bytes, video.container) == ("uploaded", len(LARGE), "mov")
        assert b"".join(tools.store.open(video.source_key)) == LARGE
    assert _rejection(tools, "s3://films/b.mp4") == ("download_refused", "there is no such object in the bucket")
    assert _rejection(replace(tools, buckets=Buckets({}, config)), "s3://films/2026/a.mp4")[0] == "download_refused"


def test_a_file_of_unknown_length_is_refused_as_soon_as_it_is_more_than_its_owner_may_store(
    tools: Tools, files: FileServer
) -> None:
    files.announced = False
    video = requested(tools, files.url())
    limits_set(owner=default_owner(), max_stored_bytes=PART)
    assert _rejection(tools, video=video)[0] == "quota_exceeded"
    assert 0 < Import.objects.get(video=video).received_bytes < len(LARGE), "most of it was never fetched"
    assert stored(tools, video) == []


def test_a_file_has_a_day_to_arrive(tools: Tools, files: FileServer) -> None:
    video = requested(tools, files.url())
    Video.objects.filter(id=video.id).update(created_at=Now() - timedelta(seconds=fetch.IMPORT_SECONDS + 1))
    assert _rejection(tools, video=video)[0] == "import_timeout"
    assert source_key(video.id) not in stored(tools, video)
