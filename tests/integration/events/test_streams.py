"""Event streams: everything once and in order, from where the client was."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from asgiref.sync import sync_to_async
from django.db import OperationalError, close_old_connections
from django.db.models import F, QuerySet
from django.db.models.functions import Now
from pytest_django import DjangoAssertNumQueries

from access.callers import PresentedKey, presented, still_working
from access.keys import key_digest, key_prefix
from access.models import ApiKey
from access.scopes import Scope as AccessScope
from access.services import key_rotate
from api.asgi import Message, Receive, Scope, Send, header, threaded
from events.log import Position, video_event_append
from events.models import Event
from events.streams import wiring
from events.streams.hub import EventHub
from events.streams.route import EventStreams, Listener, StreamLimits
from events.types import EventType
from jobs.changes.events import event_append
from jobs.models import Job
from jobs.reports.event_documents import event_documents, job_ended
from tests.rows import a_bare_job, a_key, a_video, an_owner

SECONDS = 60.0


class StreamClient:
    """One client of a stream, speaking ASGI."""

    def __init__(
        self,
        streams: EventStreams,
        path: str,
        *,
        query: str = "",
        last_seen: str = "",
        key: str = "",
        reads_up_to: str = "\0",
    ) -> None:
        """`reads_up_to`: what it reads last."""
        headers = [(b"last-event-id", last_seen.encode())] if last_seen else []
        headers += [(b"x-api-key", key.encode())] if key else []
        self._scope: Scope = {
            "type": "http", "method": "GET", "path": path, "query_string": query.encode(), "headers": headers,
        }  # fmt: skip
        self._streams = streams
        self._news = asyncio.Condition()
        self._leave = asyncio.Event()
        self._requested = False
        self._reads_up_to = reads_up_to
        self.reads = asyncio.Event()
        self.reads.set()
        self.status = 0
        self.text = ""
        self.ended = False
        self._task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        await self._streams(self._scope, self._receive, self._send)

    async def _receive(self) -> Message:
        if not self._requested:
            self._requested = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self._leave.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        await self.reads.wait()
        async with self._news:
            self.status = message.get("status", self.status)
            self.text += message.get("body", b"").decode()
            if self._reads_up_to in self.text:
                self.reads.clear()
            self.ended = message["type"] == "http.response.body" and not message.get("more_body", False)
            self._news.notify_all()

    @property
    def events(self) -> list[dict[str, str]]:
        blocks = (block.split("\n") for block in self.text.split("\n\n"))
        fields = (dict(line.split(": ", 1) for line in lines if ": " in line) for lines in blocks)
        return [found for found in fields if "id" in found]

    @property
    def types(self) -> list[str]:
        return [event["event"] for event in self.events]

    async def until(self, true: Callable[[StreamClient], bool]) -> None:
        async with self._news:
            await asyncio.wait_for(self._news.wait_for(lambda: true(self)), SECONDS)

    async def given_up(self) -> None:
        """Wait until the server has no more to do with it, without having taken anything."""
        await asyncio.wait_for(self._task, SECONDS)

    async def leave(self) -> None:
        self._leave.set()
        with suppress(asyncio.CancelledError):
            await asyncio.wait_for(self._task, SECONDS)


Test = Callable[[EventStreams, EventHub], Awaitable[None]]


def _run(
    owner_id: UUID,
    test: Test,
    *,
    batch: int = 500,
    queue: int = 1000,
    owners: Mapping[str, UUID] | None = None,
    **named: Any,  # noqa: ANN401 - of limits
) -> None:
    """`owners`: those of keys, where they are not all the same."""

    async def authorize(scope: Scope) -> Listener:
        owner = (owners or {}).get(header(scope, b"x-api-key") or "", owner_id)
        return Listener(owner, presented(scope))

    async def elsewhere(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 299, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def main() -> None:
        hub = EventHub(wiring.connect, threaded(event_documents), batch=batch, queue=queue)
        limits = StreamLimits(**{"max_streams": 100, "seconds": SECONDS, **named})
        streams = EventStreams(
            elsewhere,
            hub,
            authorize=authorize,
            recheck=wiring.recheck_credentials,
            job_ended=threaded(job_ended),
            limits=limits,
        )
        try:
            await test(streams, hub)
        finally:
            await hub.close()

    asyncio.run(main())


async def _happens(job: Job, *types: EventType) -> None:
    def write() -> None:
        for kind in types:
            event_append(job_id=job.id, type=kind)
        close_old_connections()

    await sync_to_async(write)()


def _numbers(client: StreamClient) -> list[int]:
    return [json.loads(event["data"])["data"]["seq"] for event in client.events]


@pytest.mark.django_db(transaction=True)
def test_a_job_is_reported_from_its_beginning_to_its_end() -> None:
    job = a_bare_job(a_video(an_owner("o")))
    event_append(job_id=job.id, type=EventType.JOB_QUEUED)

    async def test(streams: EventStreams, _hub: EventHub) -> None:
        client = StreamClient(streams, f"/api/v1/jobs/{job.id}/events")
        await client.until(lambda c: len(c.events) == 1)
        await _happens(job, EventType.JOB_STARTED, EventType.JOB_PLAYABLE)
        await client.until(lambda c: len(c.events) == 3)
        await _happens(job, EventType.JOB_COMPLETED)
        await client.until(lambda c: c.ended)
        assert client.types == ["job.queued", "job.started", "job.playable", "job.completed"]
        assert _numbers(client) == [1, 2, 3, 4]
        document = json.loads(client.events[-1]["data"])
        ids = {name: document["data"][name] for name in ("video_id", "job_id", "seq")}
        assert ids == {"video_id": str(job.video_id), "job_id": str(job.id), "seq": 4}

    _run(job.owner_id, test)


@pytest.mark.django_db(transaction=True)
def test_a_client_that_comes_back_goes_on_where_it_was() -> None:
    job = a_bare_job(a_video(an_owner("o")))

    async def test(streams: EventStreams, _hub: EventHub) -> None:
        await _happens(job, EventType.JOB_QUEUED, EventType.JOB_STARTED)
        first = StreamClient(streams, f"/api/v1/jobs/{job.id}/events")
        await first.until(lambda c: len(c.events) == 2)
        await first.leave()
        await _happens(job, EventType.JOB_PLAYABLE)
        second = StreamClient(streams, f"/api/v1/jobs/{job.id}/events", last_seen=first.events[-1]["id"])
        await second.until(lambda c: len(c.events) == 1)
        await _happens(job, EventType.JOB_FAILED)
        await second.until(lambda c: c.ended)
        assert _numbers(first) + _numbers(second) == [1, 2, 3, 4]
        third = StreamClient(streams, f"/api/v1/jobs/{job.id}/events", last_seen=second.events[-1]["id"])
        await third.until(lambda c: c.ended)
        assert third.status == 204  # there is nothing left to come back for

    _run(job.owner_id, test)


@pytest.mark.django_db(transaction=True)
def test_an_owner_hears_of_everything_of_his_and_of_nothing_else() -> None:
    owner, other = an_owner("o"), an_owner("p")
    mine, theirs = a_bare_job(a_video(owner)), a_bare_job(a_video(other))

    async def test(streams: EventStreams, hub: EventHub) -> None:
        everything = StreamClient(streams, "/api/v1/events")
        ends = StreamClient(streams, "/api/v1/events", query="types=job.completed,job.failed")
        await everything.until(lambda c: c.status == 200 and len(hub) == 2)
        await _happens(theirs, EventType.JOB_STARTED, EventType.JOB_COMPLETED)
        await _happens(mine, EventType.JOB_STARTED, EventType.JOB_COMPLETED)
        await sync_to_async(video_event_append)(owner_id=owner.id, video_id=uuid4(), type=EventType.VIDEO_READY)
        await everything.until(lambda c: len(c.events) == 3)
        assert everything.types == ["job.started", "job.completed", "video.ready"]
        assert ends.types == ["job.completed"]
        for client in (everything, ends):
            await client.leave()
        assert len(hub) == 0

    _run(owner.id, test)


def _forget(*seqs: int) -> None:
    """Expire events of jobs, as the janitor does after a month."""
    Event.objects.filter(seq__in=seqs).delete()


@pytest.mark.django_db(transaction=True)
def test_a_job_that_rested_longer_than_the_log_is_kept_says_so() -> None:
    job = a_bare_job(a_video(an_owner("o")))
    for _ in range(4):
        event_append(job_id=job.id, type=EventType.JOB_PROGRESS)
    path = f"/api/v1/jobs/{job.id}/events"

    async def test(streams: EventStreams, _hub: EventHub) -> None:
        first = StreamClient(streams, path)
        await first.until(lambda c: len(c.events) == 4)
        assert "reset" not in first.types
        third = first.events[2]["id"]
        await first.leave()
        await sync_to_async(_forget)(1, 2)
        in_time = StreamClient(streams, path, last_seen=third)
        await in_time.until(lambda c: len(c.events) == 1)
        assert in_time.types == ["job.progress"], "nothing after what it saw is missing"
        await in_time.leave()
        for last_seen in ("", first.events[0]["id"]):
            late = StreamClient(streams, path, last_seen=last_seen)
            await late.until(lambda c: len(c.events) == 3)
            assert late.types == ["reset", "job.progress", "job.progress"]
            assert json.loads(late.events[0]["data"]) == {"type": "reset", "data": {"job_id": str(job.id)}}
            assert late.events[0]["id"] == (last_seen or "0-0"), "a client that is cut off here gets it again"
            await late.leave()

    _run(job.owner_id, test)


@pytest.mark.django_db(transaction=True)
def test_a_job_of_which_no_event_is_kept_is_not_unknown() -> None:
    """An open one goes on from here; of one that is over, a client hears that it missed the end, and then nothing."""
    job = a_bare_job(a_video(an_owner("o")))
    event_append(job_id=job.id, type=EventType.JOB_QUEUED)
    path = f"/api/v1/jobs/{job.id}/events"

    async def test(streams: EventStreams, _hub: EventHub) -> None:
        await sync_to_async(_forget)(1)
        rests = StreamClient(streams, path)
        await rests.until(lambda c: c.types == ["reset"])
        await _happens(job, EventType.JOB_STARTED)
        await rests.until(lambda c: c.types == ["reset", "job.started"])
        await rests.leave()
        await sync_to_async(_forget)(2)
        over = Job.objects.filter(id=job.id)
        await over.aupdate(state="cancelled", phase="", finished_at=Now())
        for last_seen in ("", rests.events[-1]["id"]):
            late = StreamClient(streams, path, last_seen=last_seen)
            await late.until(lambda c: c.ended)
            assert (late.status, late.types) == (200, ["reset"])
            again = StreamClient(streams, path, last_seen=late.events[0]["id"])
            await again.until(lambda c: c.ended)
            assert again.status == 204

    _run(job.owner_id, test)


@pytest.mark.django_db(transaction=True)
def test_an_owner_whose_last_event_is_not_kept_hears_of_it() -> None:
    owner = an_owner("o")
    job = a_bare_job(a_video(owner))
    for _ in range(3):
        event_append(job_id=job.id, type=EventType.JOB_PROGRESS)
    positions = [str(Position(*each)) for each in Event.objects.order_by("id").values_list("transaction", "id")]

    async def test(streams: EventStreams, hub: EventHub) -> None:
        await sync_to_async(_forget)(1)
        late = StreamClient(streams, "/api/v1/events", last_seen=positions[0], query="types=job.progress")
        await late.until(lambda c: len(c.events) == 3)
        assert late.types == ["reset", "job.progress", "job.progress"]
        elsewhere = StreamClient(streams, "/api/v1/events", last_seen=f"{2**60}-7")  # before a restore, say
        await elsewhere.until(lambda c: c.types == ["reset"] and len(hub) == 2)
        await _happens(job, EventType.JOB_STARTED)
        await elsewhere.until(lambda c: c.types == ["reset", "job.started"])
        for client in (late, elsewhere):
            await client.leave()

    _run(owner.id, test)


async def _resets(streams: EventStreams, path: str, last_seen: str) -> list[str]:
    """Come back three times with the id of the last message, and return the ids of the resets that come."""
    ids = []
    for _ in range(3):
        client = StreamClient(streams, path, last_seen=last_seen)
        await client.until(lambda c: ": still here" in c.text)
        await client.leave()
        ids += [event["id"] for event in client.events if event["event"] == "reset"]
        last_seen = client.events[-1]["id"] if client.events else last_seen
    return ids


@pytest.mark.parametrize("others", ["keep events", "keep none"])
@pytest.mark.django_db(transaction=True)
def test_who_was_to_read_again_is_not_asked_twice(others: str) -> None:
    """The owner, or the job, is quiet: nothing follows that would move the client on."""
    quiet, other = a_bare_job(a_video(an_owner("o"))), a_bare_job(a_video(an_owner("p")))
    event_append(job_id=quiet.id, type=EventType.JOB_QUEUED)
    for _ in range(2):
        event_append(job_id=other.id, type=EventType.JOB_PROGRESS)
    first = str(Position(*Event.objects.order_by("id").values_list("transaction", "id")[0]))
    _forget(*((1,) if others == "keep events" else (1, 2)))

    async def test(streams: EventStreams, _hub: EventHub) -> None:
        for path in ("/api/v1/events", f"/api/v1/jobs/{quiet.id}/events"):
            (reset,) = await _resets(streams, path, f"{2**60}-7")
            assert await _resets(streams, path, reset) == []
        if others == "keep events":
            assert len(await _resets(streams, "/api/v1/events", first)) == 1

    async def elsewhere(streams: EventStreams, _hub: EventHub) -> None:
        (reset,) = await _resets(streams, "/api/v1/events", f"{2**60}-7")
        resets.append(reset)

    async def afterwards(streams: EventStreams, _hub: EventHub) -> None:
        assert await _resets(streams, "/api/v1/events", resets[0]) == []

    resets: list[str] = []
    for each in (test, elsewhere, afterwards):  # each is a process of its own
        _run(quiet.owner_id, each, heartbeat_seconds=0.05)


@pytest.mark.django_db(transaction=True)
def test_nothing_is_lost_or_repeated_at_the_seam_between_missed_and_new() -> None:
    """Clients come and go while events happen; pages of the backlog are small."""
    job = a_bare_job(a_video(an_owner("o")))

    async def follow(streams: EventStreams, count: int) -> list[int]:
        seen: list[int] = []
        last = ""
        while len(seen) < count:
            client = StreamClient(streams, f"/api/v1/jobs/{job.id}/events", last_seen=last)
            target = min(5, count - len(seen))
            await client.until(lambda c, target=target: len(c.events) >= target)  # type: ignore[misc]
            await client.leave()
            seen += _numbers(client)
            last = client.events[-1]["id"]
        return seen

    async def test(streams: EventStreams, _hub: EventHub) -> None:
        followers = [asyncio.create_task(follow(streams, 61)) for _ in range(3)]
        for _ in range(20):
            await _happens(job, *[EventType.JOB_PROGRESS] * 3)
        for seen in await asyncio.gather(*followers):
            assert seen == list(range(1, 62))

    event_append(job_id=job.id, type=EventType.JOB_QUEUED)
    _run(job.owner_id, test, batch=3)


@pytest.mark.django_db(transaction=True)
def test_the_stream_goes_on_after_the_database_was_unavailable() -> None:
    job = a_bare_job(a_video(an_owner("o")))
    event_append(job_id=job.id, type=EventType.JOB_QUEUED)

    async def test(streams: EventStreams, _hub: EventHub) -> None:
        client = StreamClient(streams, f"/api/v1/jobs/{job.id}/events")
        await client.until(lambda c: len(c.events) == 1)
        async with await wiring.connect() as session:
            await session.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE pid <> pg_backend_pid() AND query LIKE %s",
                ["%FROM events_event%"],
            )
        await _happens(job, EventType.JOB_STARTED)
        await client.until(lambda c: len(c.events) == 2)
        assert _numbers(client) == [1, 2]
        await client.leave()

    _run(job.owner_id, test)


@pytest.mark.django_db(transaction=True)
def test_silence_is_filled() -> None:
    async def test(streams: EventStreams, _hub: EventHub) -> None:
        client = StreamClient(streams, "/api/v1/events")
        await client.until(lambda c: ": still here\n\n" in c.text)
        assert client.text.startswith("retry: ")
        await client.leave()

    _run(an_owner("o").id, test, heartbeat_seconds=0.1)


@pytest.mark.django_db(transaction=True)
def test_time_ends_a_stream() -> None:
    async def test(streams: EventStreams, _hub: EventHub) -> None:
        client = StreamClient(streams, "/api/v1/events")
        await client.until(lambda c: c.ended)
        assert client.status == 200

    _run(an_owner("o").id, test, seconds=0.5)


@pytest.mark.django_db(transaction=True)
def test_what_cannot_be_streamed_is_a_problem() -> None:
    owner = an_owner("o")
    theirs = a_bare_job(a_video(an_owner("p")))
    event_append(job_id=theirs.id, type=EventType.JOB_QUEUED)

    async def test(streams: EventStreams, _hub: EventHub) -> None:
        async def status(path: str, **named: str) -> int:
            client = StreamClient(streams, path, **named)
            await client.until(lambda c: c.ended)
            return client.status

        assert await status(f"/api/v1/jobs/{theirs.id}/events") == 404
        assert await status(f"/api/v1/jobs/{uuid4()}/events") == 404
        assert await status("/api/v1/events", last_seen="yesterday") == 422
        assert await status("/api/v1/events", query="types=job.exploded") == 422
        assert await status("/api/v1/events", query="type=job.completed") == 422
        assert await status("/api/v1/events", query="&".join(["types=job.failed"] * 21)) == 400
        assert await status("/api/v1/videos") == 299

    _run(owner.id, test)


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (OperationalError("gone"), 503, "database_unavailable"),
        (psycopg.OperationalError("gone"), 503, "database_unavailable"),
        (KeyError("a bug"), 500, "internal_error"),
    ],
)
@pytest.mark.parametrize("path", ["/api/v1/events", f"/api/v1/jobs/{uuid4()}/events"])
def test_what_fails_before_the_beginning_is_a_problem(path: str, error: Exception, status: int, code: str) -> None:
    async def fail(*_: object) -> Any:  # noqa: ANN401 - raises
        raise error

    async def let_in(_scope: Scope) -> Listener:
        return Listener(uuid4(), PresentedKey("", ""))

    async def main() -> None:
        limits = StreamLimits(max_streams=1, seconds=SECONDS)
        authorize = let_in if "jobs" in path else fail
        client = StreamClient(
            EventStreams(fail, EventHub(fail, fail), authorize=authorize, recheck=fail, job_ended=fail, limits=limits),
            path,
        )
        await client.until(lambda c: c.ended)
        assert (client.status, json.loads(client.text)["code"]) == (status, code)

    asyncio.run(main())


@pytest.mark.django_db(transaction=True)
def test_only_so_many_streams_are_open() -> None:
    async def test(streams: EventStreams, hub: EventHub) -> None:
        clients = [StreamClient(streams, "/api/v1/events") for _ in range(2)]  # all three at once
        third = StreamClient(streams, "/api/v1/events")
        await third.until(lambda c: c.ended)
        assert third.status == 503
        await clients[0].until(lambda _: len(hub) == 2)
        await _all_leave(clients)

    _run(an_owner("o").id, test, max_streams=2)


@pytest.mark.django_db(transaction=True)
def test_an_owner_leaves_streams_to_others() -> None:
    async def test(streams: EventStreams, hub: EventHub) -> None:
        clients = [StreamClient(streams, "/api/v1/events", key=key) for key in ("a1", "a2")]
        third = StreamClient(streams, "/api/v1/events", key="a3")
        await third.until(lambda c: c.ended)
        assert third.status == 429
        assert "2 of your event streams" in third.text
        neighbour = StreamClient(streams, "/api/v1/events", key="b")
        await neighbour.until(lambda _: len(hub) == 3)
        assert neighbour.status == 200
        await clients.pop().leave()
        again = StreamClient(streams, "/api/v1/events", key="a4")
        await again.until(lambda _: len(hub) == 3)
        await _all_leave([*clients, neighbour, again])

    ann, bob = an_owner("ann"), an_owner("bob")
    _run(ann.id, test, owners={"b": bob.id}, max_streams=10, max_owner_streams=2)


async def _all_leave(clients: Iterable[StreamClient]) -> None:
    await asyncio.gather(*(client.leave() for client in clients))


@pytest.mark.django_db(transaction=True)
def test_who_reads_too_slowly_is_sent_away() -> None:
    job = a_bare_job(a_video(an_owner("o")))
    event_append(job_id=job.id, type=EventType.JOB_QUEUED)

    async def test(streams: EventStreams, hub: EventHub) -> None:
        client = StreamClient(streams, f"/api/v1/jobs/{job.id}/events")
        await client.until(lambda c: len(c.events) == 1)
        client.reads.clear()
        await _happens(job, *[EventType.JOB_PROGRESS] * 30)
        newest = await sync_to_async(Event.objects.latest)("id")
        await _handed_on(hub, Position(newest.transaction, newest.id))
        client.reads.set()
        await client.until(lambda c: c.ended)
        seen = _numbers(client)
        assert seen == list(range(1, len(seen) + 1))
        assert 1 < len(seen) < 31

    _run(job.owner_id, test, queue=5)


async def _handed_on(hub: EventHub, position: Position) -> None:
    async with asyncio.timeout(SECONDS):
        while hub.position is None or hub.position < position:  # noqa: ASYNC110 - nobody else wants to know
            await asyncio.sleep(0.01)


@pytest.mark.django_db(transaction=True)
def test_who_does_not_read_at_all_loses_his_place() -> None:
    job = a_bare_job(a_video(an_owner("o")))
    event_append(job_id=job.id, type=EventType.JOB_QUEUED)

    async def test(streams: EventStreams, hub: EventHub) -> None:
        client = StreamClient(streams, f"/api/v1/jobs/{job.id}/events")
        await client.until(lambda c: len(c.events) == 1)
        client.reads.clear()
        await client.given_up()
        assert len(hub) == 0
        after = StreamClient(streams, f"/api/v1/jobs/{job.id}/events")
        await after.until(lambda c: len(c.events) == 1)
        await after.leave()

    _run(job.owner_id, test, max_streams=1, heartbeat_seconds=0.1, send_seconds=0.5)


@pytest.mark.django_db(transaction=True)
def test_the_end_of_a_stream_is_not_waited_for_for_ever() -> None:
    async def test(streams: EventStreams, _hub: EventHub) -> None:
        client = StreamClient(streams, "/api/v1/events", reads_up_to="retry")
        await client.given_up()
        assert "retry" in client.text
        assert not client.ended

    _run(an_owner("o").id, test, seconds=1.0, send_seconds=0.5)


@pytest.mark.django_db(transaction=True)
def test_streams_end_with_their_keys_and_no_others_do() -> None:
    owner = an_owner("o")
    keys = {name: a_key(owner, AccessScope.JOBS_READ) for name in ("good", "revoked", "expired", "old")}

    def row(name: str) -> QuerySet[ApiKey]:
        return ApiKey.objects.filter(prefix=key_prefix(keys[name]))

    def change() -> None:
        row("revoked").update(revoked_at=Now())
        row("expired").update(expires_at=Now())
        row("old").update(previous_sha256=F("sha256"), previous_until=Now(), sha256="another")
        close_old_connections()

    async def test(streams: EventStreams, hub: EventHub) -> None:
        clients = {name: StreamClient(streams, "/api/v1/events", key=key) for name, key in keys.items()}
        await clients["good"].until(lambda _: len(hub) == len(clients))
        await sync_to_async(change)()
        for name in ("revoked", "expired", "old"):
            await clients[name].until(lambda c: c.ended)
        await asyncio.sleep(0.3)  # looked at once more
        assert not clients["good"].ended
        await clients["good"].leave()

    _run(owner.id, test, recheck_seconds=0.1)


@pytest.mark.django_db
def test_keys_are_looked_at_in_one_query(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    owner = an_owner("o")
    before, other = a_key(owner), a_key(owner)
    rotated = ApiKey.objects.get(prefix=key_prefix(before))
    _, rotated_key = key_rotate(owner=owner, key_id=rotated.id)
    expected = {PresentedKey(key_prefix(text) or "", key_digest(text)) for text in (before, rotated_key.text, other)}
    with django_assert_num_queries(1):
        assert still_working([*expected, PresentedKey(rotated_key.prefix, "guessed")]) == expected
