"""A real ingest server, the hooks in a process of their own, and publishers that come, go and try again."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from subprocess import Popen
from urllib.parse import urlencode

import pytest
from django.db import connection

from embedded.ingest import Ingest
from jobs.leasing.claim import Claim
from jobs.rules.steps import LIVE_QUEUE
from livestreams.models import Broadcast, Refusal
from livestreams.services import attempts
from livestreams.services.publishing import publisher_left, publisher_seen
from tests.ingest_hooks_process import IngestHooksProcess
from tests.ingest_process import a_publisher, an_ingest
from tests.integration.livestreams.conftest import SECRET
from tests.live_rows import Stream, a_live_node, a_stream
from tests.relay_process import wait_until
from tests.rows import claim_or_none
from tests.servers import ServersOfThisRun

pytestmark = pytest.mark.django_db(transaction=True)


class Setup:
    """An ingest server and its hooks, which can be ended and started again."""

    def __init__(self, scratch: Path) -> None:
        with closing(socket.create_server(("127.0.0.1", 0))) as unused:
            self._port = unused.getsockname()[1]
        self._scratch = scratch
        self._database = str(connection.settings_dict["NAME"])
        self.start()

    def start(self) -> None:
        settings = {"TRANSCODER_INGEST_SECRET": SECRET}
        self.hooks = IngestHooksProcess(self._port, self._database, self._scratch, settings)
        self.hooks.wait_ready()


@pytest.fixture(scope="module")
def running(django_db_setup: None, redis: object, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Setup]:
    started = Setup(tmp_path_factory.mktemp("hooks"))
    yield started
    started.hooks.close()


@pytest.fixture(scope="module")
def ingest(running: Setup, servers: ServersOfThisRun) -> Iterator[Ingest]:
    with an_ingest(servers, running.hooks.url, secret=SECRET) as server:
        yield server


@pytest.fixture
def hooks(running: Setup) -> IngestHooksProcess:
    return running.hooks


@pytest.fixture(autouse=True)
def _quiet(transactional_db: None) -> Iterator[None]:
    """Wait until all publishers are gone and all hooks answered, before the database is emptied."""
    yield
    wait_until(lambda: not Broadcast.objects.filter(publisher_left_at=None).exists() and not _working())


def _working() -> bool:
    """Tell whether another process is in a transaction of this database."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid() AND state LIKE '%active%'"
        )
        (working,) = cursor.fetchone()
    return bool(working)


@contextmanager
def a_worker() -> Iterator[list[Claim]]:
    """Claim the live step as soon as it is there, and say that a reader waits."""
    claims: list[Claim] = []
    over = threading.Event()

    def work() -> None:
        while not over.wait(0.05):
            if claim := claim_or_none(queue=LIVE_QUEUE, node="live-1"):
                attempts.reader_ready(claim=claim)
                claims.append(claim)
        connection.close()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield claims
    finally:
        over.set()
        thread.join()


def url(ingest: Ingest, stream: Stream, secret: str = "") -> str:
    return f"{ingest.url}/{stream.row.ingest_name}?key={secret or stream.secret}"


def gone(process: Popen[bytes]) -> bool:
    return not is_there(process)


def is_there(process: Popen[bytes]) -> bool:
    return process.poll() is None


def seen(stream: Stream) -> bool:
    broadcasts = Broadcast.objects.filter(livestream=stream.row, publisher_left_at=None)
    return any(row.publisher_seen_at > row.started_at for row in broadcasts)


def test_a_publisher_comes_goes_and_returns_and_a_second_one_ends_nothing(ingest: Ingest) -> None:
    a_live_node()
    stream = a_stream(reconnect_seconds=60)
    with a_worker(), a_publisher(url(ingest, stream)) as first:
        wait_until(lambda: seen(stream))
        known = stream.broadcast
        assert known.ingest_address == f"{ingest.address}/live"
        with a_publisher(url(ingest, stream)) as second:
            wait_until(lambda: not is_there(second))
        assert stream.broadcast.publisher_left_at is None
        assert is_there(first)
        assert list(Refusal.objects.values_list("code", flat=True)) == ["already_live"]
        before = stream.broadcast.publisher_seen_at
        wait_until(lambda: stream.broadcast.publisher_seen_at > before)
        first.kill()
        wait_until(lambda: stream.broadcast.publisher_left_at is not None)
        with a_publisher(url(ingest, stream)):
            wait_until(lambda: stream.broadcast.publisher_left_at is None)
            assert stream.broadcast.number == known.number
            assert stream.broadcast.client_id != known.client_id


def test_a_wrong_key_and_a_stream_without_a_worker_are_sent_away(ingest: Ingest) -> None:
    stream = a_stream()
    for guessed in ("guessed", "guessed&call=other", "guessed&call=update_publish"):
        with a_publisher(url(ingest, stream, guessed)) as wrong:
            wait_until(partial(gone, wrong))
    with a_publisher(url(ingest, stream)) as early:
        wait_until(lambda: not is_there(early))
    a_live_node()  # one that never comes
    with a_publisher(url(ingest, stream)) as waiting:
        wait_until(lambda: not is_there(waiting))
    codes = Refusal.objects.filter(livestream=stream.row).order_by("id").values_list("code", "count")
    assert list(codes) == [("wrong_key", 3), ("no_capacity", 2)]
    assert not Broadcast.objects.exists()


def test_hooks_that_are_gone_drop_nobody_and_a_stop_drops_the_publisher(ingest: Ingest, running: Setup) -> None:
    a_live_node()
    stream = a_stream()
    with a_worker(), a_publisher(url(ingest, stream)) as publisher:
        wait_until(lambda: seen(stream))
        running.hooks.kill()
        gone_since = time.monotonic()
        wait_until(lambda: time.monotonic() > gone_since + 2)  # four updates
        assert is_there(publisher)
        running.start()
        before = stream.broadcast.publisher_seen_at
        wait_until(lambda: stream.broadcast.publisher_seen_at > before)
        assert is_there(publisher)
        Broadcast.objects.update(stop_requested_at=before)
        wait_until(lambda: not is_there(publisher))


def test_a_lost_word_is_made_up_for_by_the_next_update(ingest: Ingest) -> None:
    a_live_node()
    stream = a_stream()
    with a_worker(), a_publisher(url(ingest, stream)):
        wait_until(lambda: seen(stream))
        broadcast = stream.broadcast
        gone = stream.publisher(broadcast.client_id, ingest=broadcast.ingest_address)
        assert publisher_left(gone)  # forged: it is still there
        wait_until(lambda: stream.broadcast.publisher_left_at is None)
        assert stream.broadcast.client_id == broadcast.client_id
        assert publisher_seen(gone)


def test_nobody_reads_from_the_ingest_server_without_a_token(ingest: Ingest, hooks: IngestHooksProcess) -> None:
    a_live_node()
    stream = a_stream()
    own = {"X_Vodmill_Ingest_Secret": SECRET, "X_Vodmill_Ingest_Address": ingest.address}
    with a_worker() as claims, a_publisher(url(ingest, stream)):
        wait_until(lambda: seen(stream))
        token = attempts.broadcast_control(claim=claims[0]).token
        for given, status in ((token, 200), ("", 403), (token[:-1], 403)):
            form = {"call": "play", "name": stream.row.ingest_name, "clientid": "9", "app": "live", "token": given}
            assert hooks.post("/hooks/nginx", urlencode(form), **own) == status


def test_the_hooks_answer_nobody_without_the_secret(hooks: IngestHooksProcess) -> None:
    stream = a_stream()
    a_live_node()
    form = {"call": "publish", "name": stream.row.ingest_name, "clientid": "1", "app": "live", "key": stream.secret}
    body, address = urlencode(form), {"X_Vodmill_Ingest_Address": "127.0.0.1:1935"}
    assert hooks.post("/hooks/nginx", body, **address) == 403
    assert hooks.post("/hooks/nginx", body, X_Vodmill_Ingest_Secret="guessed", **address) == 403
    assert hooks.post("/hooks/nginx?secret=", body, **address) == 403
    assert not Broadcast.objects.exists()
    own = {"X_Vodmill_Ingest_Secret": SECRET, **address}
    assert hooks.post("/hooks/else", body, **own) == 404
    assert hooks.post("/hooks/nginx", "", X_Vodmill_Ingest_Secret=SECRET) == 200  # no event of ours
    assert hooks.post("/hooks/nginx", "call=publish", **own) == 400
    assert hooks.post("/hooks/mediamtx", "nonsense", **own) == 400
    assert hooks.post("/hooks/nginx", "x" * 100_000, **own) == 400
    assert stream.secret not in hooks.log
